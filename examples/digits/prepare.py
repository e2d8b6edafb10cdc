"""Makes what the example scores with: 1,797 PNG files of handwritten digits and a classifier fitted on half of them.

    images/digit-0000.png ...   8 x 8 pixels each, the digits that come with scikit-learn
    labels.csv                  which digit each file really shows; the scoring script never sees it
    model/digits.joblib         a support vector classifier

Running it again makes the same files.
"""

import csv
import sys
from pathlib import Path

import joblib
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC

HERE = Path(__file__).parent
IMAGES, MODEL, LABELS = HERE / "images", HERE / "model" / "digits.joblib", HERE / "labels.csv"

#: A pixel of the data set is 0..16; times 15 it uses the range of a grey PNG. The scoring script divides again.
BRIGHTNESS = 15

#: The classifier learns from the first half; the accuracy on the second half is the honest one.
SEEN = 898


def main() -> None:
    digits = load_digits()
    names = [f"digit-{number:04}.png" for number in range(len(digits.images))]
    write_images(names, digits.images)
    write_labels(names, digits.target)
    fit(digits.data[:SEEN], digits.target[:SEEN])
    print(f"{len(names):,} images in images/, a classifier fitted on the first {SEEN} of them in model/")


def write_images(names, images) -> None:
    IMAGES.mkdir(exist_ok=True)
    for name, pixels in zip(names, images, strict=True):
        if not (IMAGES / name).exists():
            Image.fromarray((pixels * BRIGHTNESS).astype("uint8")).save(IMAGES / name)


def write_labels(names, labels) -> None:
    with LABELS.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "digit"])
        table.writerows(zip(names, labels, strict=True))


def fit(pixels, labels) -> None:
    MODEL.parent.mkdir(exist_ok=True)
    joblib.dump(SVC(gamma=0.001, C=10).fit(pixels, labels), MODEL)


if __name__ == "__main__":
    sys.exit(main())
