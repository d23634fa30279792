"""The seed document's thirty promises, each with the tests that hold us to it.

A row says what the document promises; a citation is `file::test`. A citation of a test that does
not exist fails here, so a promise cannot lose its test unnoticed.
"""

import ast
import functools
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
NAMES = "contract/test_templates_names.py"
NOTEBOOK = "contract/test_templates_notebook.py"
STAGES = "contract/test_templates_pipeline.py"
SECURITY = "contract/test_templates_security.py"
FUNCTIONS = "contract/test_templates_functions.py"
API = "contract/test_templates_api.py"
README = "contract/test_readme.py"
ZIPS = "contract/lambdas/test_lambda_zips.py"
TRAIN = "contract/lambdas/test_lambda_train_model.py"
DEPLOY = "contract/lambdas/test_lambda_deploy_model.py"
GATE = "contract/lambdas/test_lambda_full_test.py"
PROXY = "contract/lambdas/test_lambda_proxy.py"
BUILD = "contract/test_container_build.py"
WHOLE = "offline/workshop/test_demo.py"
ENDINGS = "offline/endings/test_endings.py"
LAB = "offline/workshop/test_lab.py"
CLEAN_UP = "offline/workshop/test_demo_clean_up.py"

PROMISES = {
    "1 from commit to endpoint": [f"{WHOLE}::test_every_action_of_a_pushed_commit_succeeds"],
    "2 a picture of the pipeline": [f"{README}::test_the_picture_is_that_of_the_templates"],
    "3 works in us-east-1, and anywhere": [
        f"{SECURITY}::test_templates_name_no_partition_region_or_account"
    ],
    "4 two templates, in order": [
        f"{NAMES}::test_descriptions_tell_the_order",
        f"{NAMES}::test_only_the_seeds_parameters_must_be_given",
        "contract/test_package_lambdas.py::test_each_zip_goes_up_flat_and_below_the_content_prefix",
    ],
    "5 three lower-case initials": [
        f"{NAMES}::test_unique_id_takes_three_initials",
        f"{NAMES}::test_unique_id_refuses_anything_else",
    ],
    "6 repository ethnicity-pred-repo": [
        f"{NAMES}::test_stack_1_keeps_the_seeds_name",
        f"{STAGES}::test_the_source_is_stack_1s_repository_and_is_not_polled",
    ],
    "7 versioned bucket for the code": [
        f"{SECURITY}::test_every_bucket_is_closed_versioned_and_encrypted"
    ],
    "8 notebook with its files": [
        f"{NOTEBOOK}::test_script_fits_and_is_bash",
        f"{NOTEBOOK}::test_zip_may_come_later_than_the_notebook",
    ],
    "9 five packaged functions": [
        f"{ZIPS}::test_there_is_one_zip_for_each_public_name",
        f"{ZIPS}::test_a_zip_holds_sources_alone_readable_by_lambda_and_undated",
    ],
    "10 deployed by SAM from the bucket": [
        f"{FUNCTIONS}::test_without_a_prefix_the_zips_lie_where_the_seed_puts_them",
        "contract/test_package_lambdas.py::"
        "test_a_changed_zip_gets_a_prefix_of_its_own_and_the_old_one_stays",
    ],
    "11 TrainModel": [f"{TRAIN}::test_a_training_job_is_started_and_handed_over"],
    "12 GetStatus": [
        f"{DEPLOY}::test_a_rolled_back_deployment_fails_and_leaves_what_serves",
        f"{DEPLOY}::test_the_state_of_a_wait_is_small",
    ],
    "13 DeployModel": [
        f"{DEPLOY}::test_the_first_deployment_creates_model_config_and_endpoint",
        f"{DEPLOY}::test_a_later_deployment_updates_the_same_endpoint",
    ],
    "14 EvaluateModel": [
        f"{GATE}::test_a_good_model_passes_with_a_report_beside_it",
        f"{GATE}::test_a_missed_threshold_fails_the_stage_and_names_value_limit_and_report",
    ],
    "15 InferenceEndpoint-Proxy": [
        f"{PROXY}::test_a_stored_image_is_asked_about_at_the_stages_endpoint"
    ],
    "16 roles": [
        f"{SECURITY}::test_no_broad_managed_policy_is_attached",
        f"{SECURITY}::test_every_wildcard_resource_has_its_because_beside_it",
    ],
    "17 the CodeBuild job": [
        f"{BUILD}::test_a_new_commit_is_tested_then_built_then_pushed",
        f"{BUILD}::test_only_the_image_file_becomes_the_artifact",
    ],
    "18 registry and model bucket": [
        f"{SECURITY}::test_images_are_scanned_immutable_and_no_obstacle_to_deletion",
        f"{SECURITY}::test_data_models_and_their_key_outlive_the_stack",
    ],
    "19 build, train, deploy to target environments": [
        f"{STAGES}::test_stages_and_actions_are_those_of_the_design",
        f"{ENDINGS}::test_production_is_untouched_before_the_first_approval",
    ],
    "20 the first run errs, as expected": [
        f"{WHOLE}::test_the_first_run_fails_at_source_in_aws_words",
        f"{ENDINGS}::test_without_data_training_does_not_start",
    ],
    "21 the lab notebook": [f"{LAB}::test_every_cell_of_the_lab_runs_as_the_notebooks_role"],
    "22 training and validation data": [
        f"{TRAIN}::test_validation_data_becomes_a_channel_only_if_it_is_there"
    ],
    "23 a commit triggers": [f"{WHOLE}::test_a_further_push_trains_with_an_image_of_its_own"],
    "24 new data triggers": [
        f"{LAB}::test_new_data_retrain_with_the_image_of_the_last_commit",
        f"{LAB}::test_every_release_updates_the_endpoint_under_its_name",
    ],
    "25 the bias lesson": [
        f"{GATE}::test_the_lesson_a_group_left_out_of_training_stops_the_model",
        f"{LAB}::test_the_gate_stops_the_model_that_lacks_a_group_and_says_why",
        f"{LAB}::test_the_complete_data_pass_again",
        f"{ENDINGS}::test_the_gate_names_the_group_that_training_left_out",
        f"{ENDINGS}::test_new_data_retrains_with_the_image_that_is_there",
        f"{ENDINGS}::test_the_missing_group_is_answered_in_production_once_the_data_is_complete",
    ],
    "26 POST /dev/predict": [
        f"{NAMES}::test_the_api_answers_where_the_seed_calls_it",
        f"{WHOLE}::test_a_stack_update_opens_the_api_to_the_seed_documents_own_curl",
        f"{API}::test_the_codes_answers_fit_the_response_schema",
    ],
    "27 test images": [f"{WHOLE}::test_all_test_images_are_answered_right_over_http"],
    "28 local test of the container": [
        "unit/test_container_local.py::test_the_folder_is_laid_out_as_sagemaker_does",
        "contract/test_container_serve.py::test_all_fourteen_test_images_are_recognised",
    ],
    "29 clean-up": [
        f"{CLEAN_UP}::test_killed_midway_and_run_again_it_leaves_nothing",
        f"{LAB}::test_with_stack_2_deleted_by_hand_clean_up_finds_the_rest_by_name",
    ],
    "30 clients upload to S3 and ask by key": [
        f"{PROXY}::test_a_stored_image_is_asked_about_at_the_stages_endpoint",
        f"{PROXY}::test_a_name_that_leaves_the_folder_reaches_no_bucket",
    ],
}


@functools.cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_every_row_of_the_list_is_here():
    assert [int(row.split()[0]) for row in PROMISES] == list(range(1, 31))


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_held_by_tests_that_exist(promise):
    for citation in PROMISES[promise]:
        file, _, name = citation.partition("::")
        assert (TESTS / file).is_file(), citation
        assert name in named_in(file), citation
