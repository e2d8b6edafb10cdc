"""Makes the files that are scored, once, below a folder that later runs use again."""

from pathlib import Path

#: Made last; a folder without it was not finished and is made again.
DONE = ".done"


def tiny_files(folder: Path, count: int) -> Path:
    """``count`` files of a few bytes each."""
    return once(folder / f"tiny-{count}", lambda made: _write_tiny(made, count))


def many_files(folder: Path, count: int) -> Path:
    """``count`` such files, a thousand to a folder."""
    return once(folder / f"many-{count}", lambda made: _write_many(made, count))


def images(folder: Path, count: int) -> Path:
    """``count`` PNG files of 28 x 28 pixels: scikit-learn's digits, enlarged, no two alike."""
    return once(folder / f"png-{count}", lambda made: _write_images(made, count))


def model(folder: Path) -> Path:
    """A folder ``model`` with a small neural network fitted on the same kind of images."""
    return once(folder / "model", _fit)


def read_all(folder: Path) -> None:
    """Bring every file into the page cache, so that no runner pays for the first look at it."""
    for path in folder.iterdir():
        path.read_bytes()


def once(folder: Path, make) -> Path:
    """The folder, which ``make`` fills if no run before this one has finished doing so."""
    if not (folder / DONE).exists():
        print(f"making {folder.name} ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
        (folder / DONE).touch()
    return folder


def _write_tiny(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number:06}.txt").write_bytes(b"%d\n" % number)


def _write_many(folder: Path, count: int) -> None:
    for first in range(0, count, 1000):
        (folder / f"{first // 1000:04}").mkdir(exist_ok=True)
        _write_tiny(folder / f"{first // 1000:04}", min(1000, count - first))


def _write_images(folder: Path, count: int) -> None:
    import numpy as np
    from PIL import Image

    pixels, _ = _enlarged_digits()
    noise = np.random.default_rng(7)
    for number in range(count):
        grey = pixels[number % len(pixels)] + noise.integers(0, 16, (28, 28))
        Image.fromarray(grey.clip(0, 255).astype("uint8")).save(folder / f"{number:06}.png")


def _fit(folder: Path) -> None:
    import joblib
    from sklearn.neural_network import MLPClassifier

    pixels, digits = _enlarged_digits()
    network = MLPClassifier(hidden_layer_sizes=(64,), max_iter=200, random_state=7, early_stopping=True)
    joblib.dump(network.fit(pixels.reshape(len(pixels), -1) / 255, digits), folder / "mlp.joblib")


def _enlarged_digits():
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = (digits.images * 15).astype("uint8")
    large = [np.asarray(Image.fromarray(one).resize((28, 28), Image.Resampling.BILINEAR)) for one in small]
    return np.stack(large).astype("int16"), digits.target
