"""A Lambda action that does what its UserParameters tell it to."""

import io
import json
import zipfile

import boto3
from botocore.exceptions import ClientError

codepipeline = boto3.client("codepipeline")


def handler(event, _context):
    job = event["CodePipeline.job"]
    wish = json.loads(job["data"]["actionConfiguration"]["configuration"]["UserParameters"])
    WISHES[wish["do"]](job, wish)


def succeed(job, wish, **variables):
    for artifact in job["data"]["outputArtifacts"]:
        write(job, artifact, {"wish": wish, "inputs": [read(job, a) for a in inputs(job)]})
    codepipeline.put_job_success_result(
        jobId=job["id"],
        executionDetails={"summary": "done", "percentComplete": 100},
        outputVariables={"job": job["id"], **variables},
    )


def go_on(job, wish):
    token = job["data"].get("continuationToken")
    if token is None:
        codepipeline.put_job_success_result(jobId=job["id"], continuationToken=job["id"])
    else:
        succeed(job, wish, first=token)


def fail(job, wish):
    codepipeline.put_job_failure_result(
        jobId=job["id"], failureDetails={"type": "ConfigurationError", "message": wish["why"]}
    )


def forget_artifact(job, _wish):
    codepipeline.put_job_success_result(jobId=job["id"])


def answer_twice(job, wish):
    succeed(job, wish)
    try:
        codepipeline.put_job_failure_result(
            jobId=job["id"], failureDetails={"type": "JobFailed", "message": "too late"}
        )
    except ClientError as error:
        print(f"second answer: {error.response['Error']['Code']}")


def read_elsewhere(job, _wish):
    place = job["data"]["inputArtifacts"][0]["location"]["s3Location"]
    try:
        s3_of(job).list_objects_v2(Bucket=place["bucketName"])
    except ClientError as error:
        fail(job, {"why": error.response["Error"]["Message"]})


def say_nothing(job, wish):
    print(f"silent: {wish.get('mark')} {job['id']}")


WISHES = {
    "succeed": succeed,
    "continue": go_on,
    "fail": fail,
    "forget artifact": forget_artifact,
    "answer twice": answer_twice,
    "read elsewhere": read_elsewhere,
    "say nothing": say_nothing,
}


def inputs(job):
    return job["data"]["inputArtifacts"]


def s3_of(job):
    given = job["data"]["artifactCredentials"]
    return boto3.client(
        "s3",
        aws_access_key_id=given["accessKeyId"],
        aws_secret_access_key=given["secretAccessKey"],
        aws_session_token=given["sessionToken"],
    )


def read(job, artifact):
    place = artifact["location"]["s3Location"]
    body = s3_of(job).get_object(Bucket=place["bucketName"], Key=place["objectKey"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return sorted(archive.namelist())


def write(job, artifact, content):
    place = artifact["location"]["s3Location"]
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("answer.json", json.dumps(content))
    s3_of(job).put_object(
        Bucket=place["bucketName"],
        Key=place["objectKey"],
        Body=body.getvalue(),
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=job["data"]["encryptionKey"]["id"],
    )
