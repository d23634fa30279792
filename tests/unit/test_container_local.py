"""`make train-local` and its kin: the folder, and what is refused with what to do."""

import argparse
import json
import subprocess

import container
import pytest


def options(ml, program, image=None):
    return argparse.Namespace(
        program=program, image=image, ml=ml, port=1, engine="process", hyperparameters="{}"
    )


def test_the_folder_is_laid_out_as_sagemaker_does(tmp_path):
    (tmp_path / "input/data/train").mkdir(parents=True)
    (tmp_path / "input/data/train/mine.csv").write_text("ethnicity,pixels\n")
    container.lay_out(tmp_path, '{"epochs": "3"}')
    config = tmp_path / "input/config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"epochs": "3"}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {"train": {}}
    assert json.loads((config / "resourceconfig.json").read_text())["hosts"] == ["algo-1"]
    assert (tmp_path / "model").is_dir()
    assert (tmp_path / container.CACHE).is_dir()  # else Docker's root makes it, to stay root's


def test_data_that_is_there_is_not_drawn_over(tmp_path):
    mine = tmp_path / "input/data/train/mine.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("ethnicity,pixels\n")
    container.lay_out(tmp_path, "{}")
    assert [file.name for file in mine.parent.iterdir()] == ["mine.csv"]


def test_hyperparameters_may_be_numbers_and_in_a_file(tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{\n "epochs": 3, "balance": 0.3\n}\n')
    texts = {"epochs": "3", "balance": "0.3"}
    assert container.read_hyperparameters(str(recipe)) == texts
    assert container.read_hyperparameters(recipe.read_text()) == texts


@pytest.mark.parametrize("given", ["none.json", "{epochs: 3}", "", "{"])
def test_other_hyperparameters_are_refused_with_what_is_needed(given):
    with pytest.raises(container.Refused, match="a JSON object, or a file that holds one, is"):
        container.read_hyperparameters(given)


def test_serving_before_training_says_what_to_run(tmp_path):
    with pytest.raises(container.Refused, match="make train-local"):
        container.act(options(tmp_path, "serve"))


def test_asking_without_a_server_says_what_to_run(tmp_path):
    image = tmp_path / "a.jpg"
    image.write_bytes(b"\xff\xd8")
    with pytest.raises(container.Refused, match="make serve-local"):
        container.act(options(tmp_path, "predict", image))


def test_a_file_of_an_unknown_type_is_refused_by_name(tmp_path):
    image = tmp_path / "a.tiff"
    image.write_bytes(b"II")
    with pytest.raises(container.Refused, match=r"a\.tiff .* \.jpg, \.png or \.csv"):
        container.act(options(tmp_path, "predict", image))


def test_docker_is_taken_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("sys.argv", ["container.py", "train"])
    assert container.arguments().engine == "process"


def test_what_a_containers_root_wrote_is_given_back_even_if_it_failed(tmp_path, monkeypatch):
    given = []
    ended = {"build": 0, "run": 3}
    monkeypatch.setattr(container.engines, "require_docker", lambda: None)
    monkeypatch.setattr(container, "give_back", lambda *what: given.append(what))

    def run(command, **_):
        return subprocess.CompletedProcess([], ended[command[1]])

    monkeypatch.setattr(subprocess, "run", run)
    assert container.run_docker("train", tmp_path, 8080) == 3
    assert given == [("ethnicity-prediction:train", tmp_path)]


def test_without_a_docker_engine_it_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda _: None)
    words = ["container.py", "train", "--engine", "docker", "--ml", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    (tmp_path / "input/data/train").mkdir(parents=True)
    (tmp_path / "input/data/train/mine.csv").write_text("ethnicity,pixels\n")
    assert container.main() == 1
    assert "there is no program `docker`" in capsys.readouterr().err


def test_an_image_that_docker_cannot_build_is_told_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(container.engines, "require_docker", lambda: None)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: failed)
    with pytest.raises(container.Refused, match=r"cannot build .*ENGINE=process does without"):
        container.run_docker("train", tmp_path, 8080)
