"""``PYTHON models.py FOLDER NAME...``: trains small models in a user's interpreter, and saves each with MLflow.

Tests run it; it imports nothing of ours, and its syntax is that of Python 3.7.
"""

import os
import sys
import warnings

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.simplefilter("ignore")

import mlflow.pyfunc  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.models import ModelSignature, infer_signature  # noqa: E402
from mlflow.types import ColSpec, Schema, TensorSpec  # noqa: E402

#: Given, so that saving a model does not look for what it needs.
NOTHING = ["mlflow"]
FEATURES = list("abcd")


def data():
    """Two classes told apart by the sum of the first two features."""
    frame = pd.DataFrame(np.random.RandomState(7).normal(size=(200, 4)), columns=FEATURES)
    return frame, (frame.a + frame.b > 0).astype("int64")


def sklearn(path):
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    frame, target = data()
    model = LogisticRegression().fit(frame, target)
    signature = infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(model, path, signature=signature, pip_requirements=NOTHING)


def unsigned(path):
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    frame, target = data()
    mlflow.sklearn.save_model(LogisticRegression().fit(frame, target), path, pip_requirements=NOTHING)


def xgboost(path):
    import mlflow.xgboost
    import xgboost as library

    frame, target = data()
    model = library.XGBRegressor(n_estimators=3, max_depth=2).fit(frame, target)
    signature = infer_signature(frame, model.predict(frame))
    mlflow.xgboost.save_model(model, path, signature=signature, pip_requirements=NOTHING)


def lightgbm(path):
    import lightgbm as library
    import mlflow.lightgbm

    frame, target = data()
    model = library.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, target)
    signature = infer_signature(frame, model.predict(frame))
    mlflow.lightgbm.save_model(model, path, signature=signature, pip_requirements=NOTHING)


def onnx(path):
    """Images of 2 x 3 grey pixels → their sum and their mean, by a tensor that has a name."""
    import mlflow.onnx
    from onnx import TensorProto, helper

    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [None, 2, 3, 1])
    outputs = [helper.make_tensor_value_info("total", TensorProto.FLOAT, [None, 1])]
    reshape = helper.make_node("Reshape", ["pixels", "shape"], ["flat"])
    total = helper.make_node("ReduceSum", ["flat", "axes"], ["total"])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 6])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph([reshape, total], "pixels", [pixels], outputs, [shape, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    inputs = Schema([TensorSpec(np.dtype("float32"), (-1, 2, 3, 1), "pixels")])
    mlflow.onnx.save_model(model, path, signature=ModelSignature(inputs=inputs), pip_requirements=NOTHING)


#: A module beside the model: what its ``code_paths`` bring along.
BESIDE = """
def greeting(name):
    return "Hello " + name
"""


def python(path):
    """A hand-written model: with code beside it, with a parameter, and with a file that it stumbles over."""
    from mlflow.types import ParamSchema, ParamSpec

    beside = path + ".beside"
    os.makedirs(beside)
    with open(os.path.join(beside, "beside_the_model.py"), "w") as file:
        file.write(BESIDE)
    sys.path.insert(0, beside)

    class Greeter(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            with open(context.artifacts["mark"]) as file:
                self.mark = file.read()

        def predict(self, context, model_input, params=None):
            from beside_the_model import greeting

            if (model_input.age < 0).any():
                raise ValueError("nobody is younger than 0")
            if (model_input.age > 200).any():
                return ["one alone"]
            mark = self.mark * (params or {})["times"]
            return pd.DataFrame(
                {"text": [greeting(name) + mark for name in model_input.name], "older": model_input.age + 1}
            )

    mark = os.path.join(beside, "mark.txt")
    with open(mark, "w") as file:
        file.write("!")
    inputs = Schema([ColSpec("long", "age"), ColSpec("string", "name"), ColSpec("double", "extra", required=False)])
    outputs = Schema([ColSpec("string", "text"), ColSpec("long", "older")])
    signature = ModelSignature(inputs, outputs, ParamSchema([ParamSpec("times", "integer", 2)]))
    mlflow.pyfunc.save_model(
        path,
        python_model=Greeter(),
        artifacts={"mark": mark},
        code_paths=[os.path.join(beside, "beside_the_model.py")],
        signature=signature,
        pip_requirements=NOTHING,
    )


def kinds(path):
    """Tells which types it was given."""

    class Teller(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            told = " ".join(name + "=" + type(model_input[name][0]).__name__ for name in model_input)
            return [told] * len(model_input)

    names = ["boolean", "integer", "long", "float", "double", "string", "datetime", "binary"]
    signature = ModelSignature(Schema([ColSpec(name, name) for name in names]))
    mlflow.pyfunc.save_model(path, python_model=Teller(), signature=signature, pip_requirements=NOTHING)


def torch(path):
    """Four numbers → two, with weights by chance."""
    import mlflow.pytorch
    import torch as library

    library.manual_seed(7)
    inputs = Schema([TensorSpec(np.dtype("float32"), (-1, 4))])
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    model = library.nn.Sequential(library.nn.Linear(4, 3), library.nn.ReLU(), library.nn.Linear(3, 2))
    signature = ModelSignature(inputs, outputs)
    mlflow.pytorch.save_model(model, path, signature=signature, pip_requirements=NOTHING, serialization_format="pickle")


def transformers(path):
    """A classifier of texts with weights by chance, and words that are made here."""
    import mlflow.transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline, set_seed

    set_seed(7)
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "good", "bad", "day"])}
    plain = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]")
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    classifier = pipeline("text-classification", model=BertForSequenceClassification(config), tokenizer=tokenizer)
    inputs = Schema([ColSpec("string", "text")])
    outputs = Schema([ColSpec("string", "label"), ColSpec("double", "score")])
    mlflow.transformers.save_model(
        classifier, path, signature=ModelSignature(inputs, outputs), pip_requirements=NOTHING
    )


if __name__ == "__main__":
    for name in sys.argv[2:]:
        globals()[name](os.path.join(sys.argv[1], name))
