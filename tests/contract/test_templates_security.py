"""Roles, policies, buckets: least privilege, reasons where it cannot be, all encrypted."""

import json
import re

import pytest

WILDCARD = re.compile(r"""^\s*(?:Resource:|-)\s*['"]\*['"]\s*(?P<because>#.*)?$""")
SERVICES = {  # role → the service that assumes it
    "NotebookRole": "sagemaker.amazonaws.com",
    "BuildProjectRole": "codebuild.amazonaws.com",
    "TrainingRole": "sagemaker.amazonaws.com",
    "EndpointRole": "sagemaker.amazonaws.com",
    "TrainModelFunctionRole": "lambda.amazonaws.com",
    "GetStatusFunctionRole": "lambda.amazonaws.com",
    "DeployModelFunctionRole": "lambda.amazonaws.com",
    "EvaluateModelFunctionRole": "lambda.amazonaws.com",
    "InferenceProxyFunctionRole": "lambda.amazonaws.com",
    "PipelineRole": "codepipeline.amazonaws.com",
    "StartPipelineRole": "events.amazonaws.com",
    "ApiGatewayLogRole": "apigateway.amazonaws.com",
}
# Services that act for whoever asks must name the account they act for.
GUARDED = {
    "sagemaker.amazonaws.com",
    "codebuild.amazonaws.com",
    "codepipeline.amazonaws.com",
    "events.amazonaws.com",
}
KEPT = "RetainExceptOnCreate"  # Retain, but a creation that fails is rolled back whole
MANAGED = ["arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"]


def of_type(template, kind):
    return {n: b["Properties"] for n, b in template["Resources"].items() if b["Type"] == kind}


def policies(template):
    """Yield (role or policy, policy name, document) of every identity policy."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield name, policy["PolicyName"], policy["PolicyDocument"]
    for name, policy in of_type(template, "AWS::IAM::Policy").items():
        yield name, policy["PolicyName"], policy["PolicyDocument"]


def statements(template):
    """Yield (where, statement) of every policy, of resources and the key as well."""
    for role, name, document in policies(template):
        yield from ((f"{role}/{name}", statement) for statement in document["Statement"])
    for kind, key in [
        ("AWS::S3::BucketPolicy", "PolicyDocument"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument"),
        ("AWS::KMS::Key", "KeyPolicy"),
    ]:
        for name, body in of_type(template, kind).items():
            yield from ((name, statement) for statement in body[key]["Statement"])


def listed(value):
    return value if isinstance(value, list) else [value]


def test_no_broad_managed_policy_is_attached(template, template_path, stack_of):
    text = template_path.read_text()
    assert "AdministratorAccess" not in text
    assert "FullAccess" not in text
    stack = stack_of(template)
    for role in of_type(template, "AWS::IAM::Role").values():
        assert [stack(arn) for arn in role.get("ManagedPolicyArns", [])] in ([], MANAGED)


def test_every_wildcard_resource_has_its_because_beside_it(template, template_path):
    """Counted both ways, so that no other spelling of a wildcard slips through."""
    lines = [m for m in map(WILDCARD.match, template_path.read_text().splitlines()) if m]
    assert all(len(line["because"] or "") > 8 for line in lines)
    everywhere = [w for w, s in statements(template) for r in listed(s["Resource"]) if r == "*"]
    assert len(everywhere) == len(lines)


def test_actions_are_named_one_by_one(template):
    for where, statement in statements(template):
        actions = listed(statement["Action"])
        if statement["Effect"] == "Deny" or statement.get("Sid") == "LetIamPoliciesGrantUse":
            continue
        assert not [a for a in actions if a.endswith(":*") or a == "*"], where


def test_each_role_is_assumed_by_its_service_alone(prep, pipeline):
    roles = of_type(prep, "AWS::IAM::Role") | of_type(pipeline, "AWS::IAM::Role")
    trust = {}
    for name, role in roles.items():
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        trust[name] = statement["Principal"]["Service"]
        condition = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        assert statement["Action"] == "sts:AssumeRole"
        assert statement.get("Condition") == (condition if trust[name] in GUARDED else None), name
    assert trust == SERVICES


def test_no_role_is_named_so_that_two_stacks_cannot_collide(template):
    assert not [r for r in of_type(template, "AWS::IAM::Role").values() if "RoleName" in r]


def test_each_function_may_pass_one_role_and_to_sagemaker_only(template):
    passed = {}
    for where, statement in statements(template):
        if "iam:PassRole" in listed(statement["Action"]):
            rest = dict(statement)
            passed[where.split("/")[0]] = rest.pop("Resource")["Fn::GetAtt"][0]
            assert rest == {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            }
    pipelines = {
        "TrainModelFunctionRole": "TrainingRole",
        "DeployModelFunctionRole": "EndpointRole",
    }
    assert passed == (pipelines if "TrainingRole" in template["Resources"] else {})


def test_an_endpoint_sees_models_and_no_data_and_writes_neither(pipeline):
    """It reads what anybody sends; should that ever take it over, there is nothing to take."""
    [role] = [r for n, r in of_type(pipeline, "AWS::IAM::Role").items() if n == "EndpointRole"]
    granted = [s for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
    assert {a for s in granted for a in listed(s["Action"])} == {
        "s3:GetObject",
        "s3:ListBucket",
        "cloudwatch:DescribeAlarms",
    }
    assert "DataBucket" not in json.dumps(granted)
    shared = pipeline["Resources"]["ContainerPolicy"]["Properties"]["PolicyDocument"]
    assert "s3:" not in json.dumps(shared)


@pytest.mark.parametrize(
    ("action", "operator", "key"),
    [
        ("cloudwatch:PutMetricData", "StringLike", "cloudwatch:namespace"),
        ("kms:CreateGrant", "Bool", "kms:GrantIsForAWSResource"),
    ],
)
def test_actions_without_a_narrow_resource_have_a_condition(pipeline, action, operator, key):
    found = [s for _, s in statements(pipeline) if action in listed(s["Action"])]
    assert found
    for statement in found:
        assert key in statement["Condition"][operator]


@pytest.mark.parametrize(
    ("action", "role", "status"),
    [
        ("sagemaker:CreateModelPackage", "EvaluateModelFunctionRole", "PendingManualApproval"),
        ("sagemaker:UpdateModelPackage", "GetStatusFunctionRole", "Approved"),
    ],
)
def test_who_registers_a_model_cannot_approve_it(pipeline, stack, action, role, status):
    [(where, statement)] = [
        (w, s) for w, s in statements(pipeline) if action in listed(s["Action"])
    ]
    assert where.startswith(role)
    assert statement["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": status}}
    for resource in listed(statement["Resource"]):
        assert re.search(r":model-package(-group)?/ethnicity-pred-models-kmm(/|$)", stack(resource))


def test_listing_a_data_bucket_is_bound_to_prefixes(pipeline):
    """Excepted is the notebook, which fills the bucket."""
    listing = {w: s for w, s in statements(pipeline) if "s3:ListBucket" in listed(s["Action"])}
    assert len(listing) == 6
    for where, statement in listing.items():
        if not where.startswith("NotebookLabPolicy"):
            assert statement["Condition"]["StringLike"]["s3:prefix"], where


def test_every_inline_policy_is_named_by_its_purpose(template):
    names = [(role, name) for role, name, _ in policies(template)]
    assert len(set(map(str, names))) == len(names)
    assert not [n for _, n in names if str(n).lower() in {"root", "policy", "inline", "default"}]


def test_inline_policies_stay_below_iams_limit(template, stack_of):
    stack, sizes = stack_of(template), {}
    for role, _, document in policies(template):
        text = json.dumps(stack(document), separators=(",", ":"))
        sizes[role] = sizes.get(role, 0) + len(text)
    assert max(sizes.values()) < 10_240


def test_templates_name_no_partition_region_or_account(template_path):
    text = template_path.read_text()
    assert "arn:aws:" not in text
    assert not re.search(r"\b(us|eu|ap|sa|ca|me|af)-(gov-)?[a-z]+-\d\b", text)
    assert not re.search(r"\b\d{12}\b", text)
    hosts = [line for line in text.splitlines() if ".amazonaws.com" in line]
    assert not [
        line
        for line in hosts
        if not re.search(r"(Service|PassedToService|Principal): \S+$|\{Service: ", line)
    ]


def test_every_bucket_is_closed_versioned_and_encrypted(template):
    buckets = of_type(template, "AWS::S3::Bucket")
    assert buckets
    for name, bucket in buckets.items():
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}, name
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4, name
        assert bucket["OwnershipControls"] == {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }
        assert "AccessControl" not in bucket, name
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule == _encryption(name), name


def _encryption(bucket):
    if bucket == "LambdaCodeBucket":
        return {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["DataKey", "Arn"]}}
    return {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": key}


def test_every_bucket_forgets_old_versions_and_broken_uploads(template):
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert {r["Status"] for r in rules} == {"Enabled"}
        assert any("NoncurrentVersionExpiration" in r for r in rules), name
        assert any("AbortIncompleteMultipartUpload" in r for r in rules), name


def test_every_bucket_refuses_plain_http(template):
    closed = {}
    for policy in of_type(template, "AWS::S3::BucketPolicy").values():
        bucket = policy["Bucket"]["Ref"]
        [statement] = policy["PolicyDocument"]["Statement"]
        closed[bucket] = statement
        assert statement["Effect"] == "Deny"
        assert statement["Principal"] == statement["Action"].removeprefix("s3:") == "*"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert statement["Resource"] == [
            {"Fn::GetAtt": [bucket, "Arn"]},
            {"Fn::Sub": f"${{{bucket}.Arn}}/*"},
        ]
    assert closed.keys() == of_type(template, "AWS::S3::Bucket").keys()


@pytest.mark.parametrize("kept", ["DataBucket", "ModelArtifactsBucket", "DataKey"])
def test_data_models_and_their_key_outlive_the_stack(pipeline, kept):
    resource = pipeline["Resources"][kept]
    assert resource["DeletionPolicy"] == KEPT
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_nothing_else_that_costs_outlives_the_stack(pipeline):
    policies = {n: b.get("DeletionPolicy", "Delete") for n, b in pipeline["Resources"].items()}
    assert set(policies.values()) == {KEPT, "Delete"}
    kept = {name for name, policy in policies.items() if policy == KEPT}
    free = {"ApiGatewayLogRole", "ApiGatewayAccount"}
    assert kept == {"DataBucket", "ModelArtifactsBucket", "DataKey"} | free


def test_the_key_rotates(pipeline):
    assert pipeline["Resources"]["DataKey"]["Properties"]["EnableKeyRotation"] is True


def test_logs_are_encrypted_and_expire(pipeline):
    groups = of_type(pipeline, "AWS::Logs::LogGroup")
    assert len(groups) == 7
    for name, group in groups.items():
        assert group["KmsKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}, name
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_images_are_scanned_immutable_and_no_obstacle_to_deletion(pipeline):
    repository = pipeline["Resources"]["ImageRepository"]["Properties"]
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["EmptyOnDelete"] is True
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3]
    kept = {r["selection"].get("tagPatternList", [None])[0]: r["selection"] for r in rules}
    assert kept["*-serve"]["countNumber"] > kept["*-train"]["countNumber"]


def test_the_notebook_has_no_root_and_takes_tokens_only(prep):
    notebook = prep["Resources"]["NotebookInstance"]["Properties"]
    assert notebook["RootAccess"] == "Disabled"
    assert notebook["InstanceMetadataServiceConfiguration"] == {
        "MinimumInstanceMetadataServiceVersion": "2"
    }
