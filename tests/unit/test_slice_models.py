"""The models that the functions' clients are made of: botocore's own, less what nobody calls."""

import json

import slice_models
from botocore.loaders import Loader


def _model(service):
    [path] = (slice_models.FOLDER / service).glob("*/service-2.json")
    return json.loads(path.read_text())


def test_the_models_are_those_that_make_models_writes():
    written = {
        str(path.relative_to(slice_models.FOLDER)): path.read_text()
        for path in slice_models.FOLDER.rglob("*.json")
    }
    assert written == slice_models.slices(slice_models.called(slice_models.CODE))


def test_an_operation_is_botocores_less_its_words():
    ours, whole = _model("sagemaker"), Loader().load_service_model("sagemaker", "service-2")
    operation = dict(whole["operations"]["CreateTrainingJob"])
    assert operation.pop("documentation")
    assert ours["operations"]["CreateTrainingJob"] == operation
    assert ours["metadata"] == whole["metadata"]


def test_every_shape_that_a_shape_names_is_there():
    for service in slice_models.SERVICES:
        model = _model(service)
        text = json.dumps([model["operations"], model["shapes"]])
        named = {part.split('"')[0] for part in text.split('"shape": "')[1:]}
        assert named == set(model["shapes"])


def test_what_nobody_calls_is_left_out():
    assert set(_model("codepipeline")["operations"]) == {
        "PutJobSuccessResult",
        "PutJobFailureResult",
    }


def test_a_shape_that_names_itself_ends():
    tree = {"type": "structure", "members": {"child": {"shape": "Tree"}}}
    model = {
        "operations": {"PutTree": {"input": {"shape": "Tree"}}, "GetTree": {}},
        "shapes": {"Tree": tree, "Leaf": {"type": "string"}},
    }
    sliced = slice_models.sliced(model, {"put_tree"})
    assert sliced == {
        "operations": {"PutTree": {"input": {"shape": "Tree"}}},
        "shapes": {"Tree": tree},
    }


def test_every_partition_keeps_its_regions():
    ours = json.loads((slice_models.FOLDER / "endpoints.json").read_text())
    whole = Loader().load_data("endpoints")
    for one, other in zip(ours["partitions"], whole["partitions"], strict=True):
        assert one["regions"] == other["regions"]
        assert one["services"].items() <= other["services"].items()
