"""Drives an unmodified boto3. It reads one JSON object from its input, {url, calls...}, makes
the calls one after the other and writes a JSON array with what boto3 made of each: what it
returned, or the error with its code and class, and how many requests that took."""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions


def client(job, call):
    more = dict(call.get("client") or {})
    credentials = job.get("credentials") or {}
    if credentials:
        more.setdefault("aws_access_key_id", credentials["accessKeyId"])
        more.setdefault("aws_secret_access_key", credentials["secretAccessKey"])
    config = botocore.config.Config(retries=more.pop("retries", None))
    return boto3.client("bedrock-runtime", region_name="eu-central-1", endpoint_url=job["url"] + "/bedrock", config=config, **more)


def listen(events, result):
    """Reads a stream as boto3's documentation shows it."""
    result.update(text="", deltas=0, arguments="")
    for e in events:
        if "contentBlockStart" in e:
            result["tool"] = e["contentBlockStart"]["start"].get("toolUse")
        if "contentBlockDelta" in e:
            delta = e["contentBlockDelta"]["delta"]
            result["deltas"] += 1
            result["text"] += delta.get("text", "")
            result["arguments"] += delta.get("toolUse", {}).get("input", "")
        if "messageStop" in e:
            result["stop"] = e["messageStop"]["stopReason"]
        if "metadata" in e:
            result["usage"] = e["metadata"]["usage"]
        if "chunk" in e:
            result["text"] += json.loads(e["chunk"]["bytes"]).get("delta", {}).get("text", "")


def make(job, call):
    result = {"requests": 0}
    c = client(job, call)

    def sent(request, **_):
        result["requests"] += 1
        authorization = request.headers.get("Authorization", b"")
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        result["signed"] = text.partition("SignedHeaders=")[2].partition(",")[0]
        if call.get("tamper") == "body":
            request.body = request.body.replace(b"hello", b"jello")

    c.meta.events.register("before-send.bedrock-runtime", sent)
    operation = {
        "converse": c.converse,
        "converse-stream": c.converse_stream,
        "invoke": c.invoke_model,
        "invoke-stream": c.invoke_model_with_response_stream,
    }[call["op"]]
    try:
        out = operation(**call["input"])
        result["headers"] = {k: str(v) for k, v in out["ResponseMetadata"]["HTTPHeaders"].items()}
        if call["op"] == "converse":
            content = out["output"]["message"]["content"]
            result.update(stop=out["stopReason"], usage=out["usage"], message=out["output"]["message"])
            result["text"] = "".join(part.get("text", "") for part in content)
        elif call["op"] == "invoke":
            result["text"] = out["body"].read().decode()
        else:
            listen(out.get("stream") or out.get("body"), result)
    except botocore.exceptions.ClientError as e:
        error = e.response["Error"]
        result["error"] = {
            "name": error["Code"],
            "message": error["Message"],
            "status": e.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),
            "type": type(e).__name__,
            "typed": type(e).__name__ == error["Code"],
        }
    except botocore.exceptions.BotoCoreError as e:
        result["error"] = {"name": type(e).__name__, "message": str(e)}
    return result


job = json.load(sys.stdin)
json.dump([make(job, call) for call in job["calls"]], sys.stdout)
