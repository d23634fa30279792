# Bare `make` prints this help. `make demo` and `make test` set up what they need.
PYTHON ?= python3
UNIQUE_ID ?=
PORT ?= 4566
DATA ?=
ONCE ?=
PARAMETERS ?=
IMAGE ?=
HYPERPARAMETERS ?=
ML ?= build/ml
SERVE_PORT ?= 8080
ENGINE ?=
MINUTES ?= 10
RECIPE ?= gray
SEEDS ?= 0 1 2
BUCKET ?=
YES ?=
PREP_STACK ?= MLOps-Ethnicity-Prediction
PIPELINE_STACK ?= MLOps-BYO-BuildPipeline
API_AUTHORIZATION ?=
# PyTorch's CPU wheels live on an index of their own; without it pip takes the default build.
TORCH_INDEX_URL ?=
# What the images are built on, where the default cannot be pulled.
BASE_IMAGE ?=

BIN := .venv/bin
# What is in an AWS account is somebody's: there is no default for whose.
OWNER = $(or $(UNIQUE_ID),$(error give UNIQUE_ID=, your three initials, for example UNIQUE_ID=kmm))
# Each Key=Value of PARAMETERS as a word of its own for the shell, JSON included.
KEY_VALUES = $(foreach pair,$(PARAMETERS),'$(pair)')
LINES := $(if $(filter output-sync,$(.FEATURES)),--output-sync=line) # of two at a time, unmixed
# What an engine needs: Docker has the model's requirements in its images.
SETUP_ENGINE := setup-dev $(if $(filter docker,$(ENGINE)),,setup-model)
LOCAL_OPTIONS = --ml $(ML) --port $(SERVE_PORT) $(if $(ENGINE),--engine $(ENGINE))
LAMBDAS := $(notdir $(wildcard lambda-code/Ethnicity-Pred-*))
ZIPS := $(LAMBDAS:%=build/lambda/%.py.zip) build/lambda/byo-staging.zip
LAMBDA_SOURCES = $(shell find lambda-code -type f -not -name '*.pyc')
STAGED = $(shell find model-code notebooks -type f -not -path '*/__pycache__/*')

export PYTHONPATH := scripts
export TORCH_INDEX_URL
export BASE_IMAGE
# botocore reads AWS_DEFAULT_REGION alone; the AWS CLI lets AWS_REGION have its way before that.
ifdef AWS_REGION
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev setup-aws setup-lint setup-model lock models format docs lint test test-unit \
	test-contract test-model test-offline test-hard test-docker check package-lambdas demo \
	bench accuracy soak base-image train-local serve-local predict-local deploy-prep deploy-pipeline \
	clean-up clean

help: ## print this help
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 20

setup: setup-dev setup-aws setup-lint setup-model ## make every environment (the others do it as needed)

setup-dev:
	@$(PYTHON) scripts/setup_env.py .venv scripts/requirements/dev.txt

setup-aws:
	@$(PYTHON) scripts/setup_env.py .tools/aws scripts/requirements/aws.txt

setup-lint: setup-dev
	@$(PYTHON) scripts/setup_env.py .tools/sam scripts/requirements/sam.txt
	@$(PYTHON) scripts/setup_env.py .tools/checkov scripts/requirements/checkov.txt

setup-model: setup-dev # the container's own locked requirements, as the local build installs them
	@$(BIN)/python -m local_cloud.docker_cli.environments model-code/Dockerfile train serve test $(if $(TORCH_INDEX_URL),--build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL))

lock: setup-dev ## resolve every lock file afresh
	$(BIN)/python scripts/lock.py
	$(BIN)/python scripts/lock_requirements.py

models: setup-dev ## cut the calls that the functions make out of botocore's models of AWS
	$(BIN)/python scripts/slice_models.py

format: setup-dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup-dev ## redraw what the documents take from templates and program
	$(BIN)/python scripts/export_openapi.py
	$(BIN)/python scripts/readme_tables.py
	$(BIN)/python scripts/draw_pipeline.py

lint: setup-lint ## check code, types, templates and Dockerfile
	scripts/lint.sh

test: setup-dev setup-aws setup-lint setup-model $(ZIPS) ## run the tests, two layers at a time
	@$(MAKE) --no-print-directory --jobs=2 $(LINES) test-offline test-contract test-model test-unit

test-unit: setup-dev ## pure functions only, seconds
	$(BIN)/pytest tests/unit

test-contract: setup-dev setup-aws setup-lint setup-model $(ZIPS) ## zips, container, templates, README
	$(BIN)/pytest tests/contract

test-model: setup-model ## the container's own tests, in the container's own environment
	$(BIN)/python -m local_cloud.docker_cli.environments run model-code/Dockerfile test -- pytest model-code/tests

test-offline: setup-dev setup-aws setup-model $(ZIPS) ## the pipeline on the local cloud
	$(BIN)/pytest tests/offline

test-hard: setup-dev setup-aws setup-model $(ZIPS) ## what goes beyond: clean-up killed after every single step
	$(BIN)/pytest tests -m hard

test-docker: setup-dev setup-aws setup-model $(ZIPS) ## the container and the demo on a Docker engine (BASE_IMAGE=)
	$(BIN)/pytest tests -m docker

check: lint test ## what CI runs

build/lambda/%.py.zip: $(LAMBDA_SOURCES) scripts/zip_lambda.py
	$(PYTHON) scripts/zip_lambda.py $@ lambda-code/$* lambda-code/common

build/lambda/byo-staging.zip: $(STAGED) scripts/draw_glyphs.py scripts/pipeline_rows.py scripts/zip_staging.py
	$(PYTHON) scripts/zip_staging.py $@

package-lambdas: $(if $(BUCKET),setup-dev) $(ZIPS) ## zip each Lambda; with BUCKET= upload them to the code bucket
	@$(if $(BUCKET),$(BIN)/python scripts/package_lambdas.py $(BUCKET) $(ZIPS),ls -l $(ZIPS))

demo: setup-aws $(SETUP_ENGINE) $(ZIPS) ## the whole pipeline, offline (ONCE=1, DATA=, PARAMETERS=, PORT=, ENGINE=docker)
	@LOCAL_CLOUD_ENGINE=$(ENGINE) $(BIN)/python -m demo --port $(PORT) $(if $(DATA),--data $(DATA)) $(if $(ONCE),--once) $(KEY_VALUES)

base-image: ## make a base image by debootstrap, as root, where no registry is (BASE_IMAGE=)
	scripts/base_image.sh $(BASE_IMAGE)

bench: setup-dev setup-model $(ZIPS) ## measure us beside the seed's design, 10 minutes; writes docs/benchmarks.* (downloads TensorFlow)
	@$(PYTHON) scripts/setup_env.py .tools/bench scripts/requirements/bench.txt
	@scripts/bench/nginx.sh .tools/bench-nginx
	$(BIN)/python -m bench --write

accuracy: setup-dev setup-model ## train RECIPE= (gray or rgb) with SEEDS= on DATA= (train/, test/), tell how right it is, and write docs/accuracy.*
	$(BIN)/python -m bench.accuracy $(RECIPE) $(DATA) --seeds $(SEEDS) --write

soak: setup-dev setup-model ## serve what train-local made under mixed load (MINUTES=)
	$(BIN)/python -m bench.soak --ml $(ML) --minutes $(MINUTES)

train-local: $(SETUP_ENGINE) ## train by itself, in a folder shaped like /opt/ml (ML=, ENGINE=docker, HYPERPARAMETERS= as JSON or its file)
	@$(BIN)/python scripts/container.py train $(LOCAL_OPTIONS) $(if $(HYPERPARAMETERS),--hyperparameters '$(HYPERPARAMETERS)')

serve-local: $(SETUP_ENGINE) ## serve what train-local made, until Ctrl-C (SERVE_PORT=, ENGINE=docker)
	@$(BIN)/python scripts/container.py serve $(LOCAL_OPTIONS)

predict-local: setup-dev ## ask serve-local about an image (IMAGE=)
	@$(BIN)/python scripts/container.py predict $(IMAGE) $(LOCAL_OPTIONS)

deploy-prep: setup-dev ## stack 1 into your AWS account
	$(BIN)/python scripts/stacks.py deploy $(PREP_STACK) 01-prep.yml UniqueID=$(OWNER)

deploy-pipeline: setup-dev $(ZIPS) ## stack 2 into your AWS account, with the zips (PARAMETERS=)
	$(BIN)/python scripts/deploy_pipeline.py $(PREP_STACK) $(PIPELINE_STACK) UniqueID=$(OWNER) $(if $(API_AUTHORIZATION),ApiAuthorization=$(API_AUTHORIZATION)) $(KEY_VALUES)

clean-up: setup-dev ## delete everything of UNIQUE_ID from your AWS account (asks once; YES=1)
	$(BIN)/python scripts/clean_up.py --unique-id $(OWNER) --prep-stack $(PREP_STACK) --pipeline-stack $(PIPELINE_STACK) $(if $(YES),--yes)

clean: ## delete what was generated, the environments included
	rm -rf build .venv .tools
