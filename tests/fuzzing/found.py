"""The shortest inputs that targets once did not take well. What the fuzzer finds is added here, by target."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence

_AZURE = (  # the replies of all services, with places for a number of nodes, counts, names of logs and a secret
    b'{"runs": {"runId": "mt-1-a1", "status": "Running"}, "computes": {"properties": {"provisioningState": "Succeeded"'
    b', "properties": {"scaleSettings": {"maxNodeCount": %b}, "nodeStateCounts": %b}}}, "details": {"logFiles": %b}, '
    b'"secrets": {"secrets": [{"name": "a", "value": %b}]}}'
)

FOUND: Mapping[str, Sequence[bytes]] = {
    "sinfo": (b"n", b"n1|idle|" + b"9" * 5000 + b"|gpu*|gpu:" + b"9" * 5000),
    "squeue": (
        b"1|RUNNING|1|x|0001-01-01T00:00:00|0001-01-01T00:00:00|mt|mitorch:s",
        b"9" * 5000 + b"|RUNNING|" + b"9" * 5000 + b"|x|N/A|N/A|mt|mitorch:s",
    ),
    "run-exit": (b"[]", b"1", b'{"code": "x"}', b"{}", b"[" * 5000),
    "run-kept": (b"[" * 5000,),
    "azureml-replies": (
        _AZURE % (b"4", b"{}", b'{"a": 1}', b'"b"'),
        _AZURE % (b"4", b"{}", b"{}", b"{}"),
        _AZURE % (b"-1", b"{}", b"{}", b'"b"'),
        _AZURE % (b"4", b'{"runningNodeCount": -5}', b"{}", b'"b"'),
    ),
    "azureml-node-replies": (
        *(b"{}", b"5", b"[" * 100_000, b'{"secrets": 5}', b'{"secrets": [{"name": "a", "value": 5}]}'),
        b'{"secrets": [{"name": [], "value": ""}]}',
    ),
    "script-call": (b'{"verb": "report"}', b'{"verb": "report", "epoch": 1, "metrics": {"\\ud800": 1}}'),
    "last-pass": (b"[" * 5000,),
    "plots-table": (b"a" * 140_000, b'"' + b"a" * 140_000),
    "backup-documents": (
        b'{"_id": {"$ne": 1}}',
        b'{"_id": "1", "status": "new"}\nx',
        b'datasets {"_id": "1"}\ntrainings {"_id": "2", "a": {"$date": 5}}',
        b'{"_id": "1", "a": ' + b"[" * 5000,
        b'{"_id": "1", "a": {"$object": 5}}',
    ),
    "data-zip": (  # packed by LZMA and cut off
        b64decode(
            "UUsDBD8AAgAOABc9fl2nVvefTAEAAD8BAAAFAAAAYS5wbmcJBAUAXQAAgAAARJQFxHon9vfuiY5QkIizqtVQIpTMrv+5RGzmlBix"
            "sNQgq0gJj0qG9w9VeeQOKMz+zMB2VOHoIb3UQK8gtcm77reHh5bKuF82uWxyc1usiOu01Mp52l1OSzJ3va8WYKm9/9nm/e9/u9bN"
            "Wnb2s8+MZZY8h7/Xek5SaMmYdcyAhyEhUoyRIUHCTYAlUKRZgePrXYfwCmXq98u7Bk5ZtYpDMXKa56QrpX9r4zkSb29zuV66732x"
            "DLtiSax53+Pnlac2/dnH37+I43ghvc9hm/PR01wnLcm9fe+7qOtEA57HNud3rZM9nhj5zYKvLdHm/O73v/lnsibMWzWRMwbkZ09X"
            "P5d1TglNAFBLAwQUAAAICAAXPX5ddoANhgwAAAAKAAAABgAAAMOpLnR4dDNQMFQwUjBWMOECAFBLAQLTZvWf/2L8YABQSwMEPwAC"
            "CA4AFz1+XXaADYYdAAAACgAAAAYAACHDqS50eHQJBAUAXQAAgAAAGAgChkkPuHyt9kiZ/I3//kQ4AFBLAQI/Az8AAgAOABc9fl2n"
            "VvefTAEAAD8BAAAFAAAAAAAAAAAAAACAAQAAAABhLnBuZ1BLAQI/Az8AAggOABc9fl12gA2GHQAAAAoAAAAGAAAAAAAAAAAAAACA"
            "AW8BAADDqS50eHRQSwUGAAAAAAIAAgBnAAAAsAEAAAAA"
        ),
    ),
    "import-mlflow-meta": (b"? - file: 8",),
    "config-yaml": (b"? - file: 8",),
    "azureml-definition": (
        b"paths:\n? - file: 8",
        b"paths: [{file: azureml://datastores/d/paths/a}]\ntransformations: [{read_delimited: {delimiter: abc}}]",
        b'{"blocks": [{"type": "DatastoreFiles", "arguments": {"datastores": []}}, {"type": "ParseDelimited"}]}',
        b'{"a":' * 5000,
        b"\n".join(
            b"a%d: &a%d {<<: [*a%d, *a%d], b%d: 1}" % (n, n, n - 1, n - 1, n) if n else b"a0: &a0 {x: 1}"
            for n in range(40)
        ),
    ),
    "clusters": (b"/dev/zero",),
    "placement": (b"/dev/zero",),
    "webhooks": (b"/dev/zero",),
    "replay-clusters": (b"/dev/zero",),
    "vott-message": (b'{"annotations": "http://h/a.csv", "model": "https://h/\\ud800m"}',),
    "obdb-documents": (
        b'{"tasks": [{"name": ["film"]}]}',
        b'{"tasks": [{"name": "film"}], "meta": [{"task_name": ["film"]}]}',
        b'{"tasks": [{"name": "film"}], "meta": [{"task_name": "film", "frames": 5}]}',
        b'{"tasks": [{"name": "film"}], "meta": [{"task_name": "film", "frames": '
        b'[{"name": "a", "width": Infinity, "height": 0}]}]}',
        b'{"tasks": [{"name": "film"}], "meta": [{"task_name": "film", "frames": [{"name": "a", "width": 9, '
        b'"height": 9}]}], "annotation_data": [{"task_name": "film", "frame": NaN, "img_path": {}}]}',
    ),
    "azureml-label-table": (
        b"image_url,label\na.png,{[]: 1}\n",
        b"image_url,label\na.png,\"[{'type': 'c', 'bottomX': "
        + b"1" * 400
        + b", 'bottomY': 1, 'topX': 2, 'topY': 3}]\"\n",
    ),
}
