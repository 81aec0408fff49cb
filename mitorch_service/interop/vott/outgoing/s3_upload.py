"""Stores a file in a bucket of S3, by boto3 and the credentials that it finds on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from mitorch_service.interop.vott.outgoing.destination import S3Object
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable

_REMEDY = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_DEFAULT_REGION), or give the machine a role"
_REFUSALS = (400, 401, 403, 404, 405, 411)


def upload_to_s3(target: S3Object, file: Path) -> None:
    """Uploads the file, in parts if it is large. Raises Refused, Unavailable."""
    config = Config(connect_timeout=20, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"})
    try:
        client: Any = boto3.client("s3", config=config)
        client.upload_file(str(file), target.bucket, target.key)
    except (NoCredentialsError, NoRegionError) as error:
        raise Refused(f"{target}: {error}: {_REMEDY}") from error
    except S3UploadFailedError as error:
        raise _of(target, error.__context__ or error) from error
    except (ClientError, BotoCoreError) as error:
        raise _of(target, error) from error


def _of(target: S3Object, error: BaseException) -> Exception:
    answer = getattr(error, "response", None) or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = answer.get("Error", {}).get("Code", "")
    problem = f"{target}: HTTP {status} {code}" if status else f"{target}: {error}"
    return Refused(problem) if status in _REFUSALS else Unavailable(problem)
