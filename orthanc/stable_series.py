"""The Python variant of stable-series.lua, for Debian's package orthanc-python: Orthanc sends every stable series to Sagittal
and says that it is complete. A node that is away is tried again, until it has the series or Orthanc ends.

Name this file in "PythonScript" of Orthanc's configuration (start.sh --stable URL --python does). From Orthanc's environment:
  SAGITTAL_URL       where the node's [http] listens, such as http://127.0.0.1:8080
  SAGITTAL_KEY       its API key, where it has one
  SAGITTAL_MODALITY  the node in "DicomModalities"; left out: sagittal
"""

import itertools
import json
import os
import queue
import threading
import urllib.request

import orthanc

URL = os.environ["SAGITTAL_URL"]
KEY = os.environ.get("SAGITTAL_KEY")
MODALITY = os.environ.get("SAGITTAL_MODALITY", "sagittal")
PAUSES = (1, 2, 5, 15, 60)

stable, ended = queue.Queue(), threading.Event()


def on_change(change, level, resource):
    # Orthanc waits for this function: the sending is done by a thread of our own.
    if change == orthanc.ChangeType.STABLE_SERIES:
        stable.put(resource)
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        ended.set()
        stable.put(None)


def send_all():
    while (series := stable.get()) is not None:
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            try:
                send(series)
                break
            except Exception as error:
                orthanc.LogError(f"Sagittal does not have series {series} yet, next try in {pause} s: {error}")
            if ended.wait(pause):
                return


def send(series):
    node = json.loads(orthanc.RestApiGet("/modalities"))
    if MODALITY not in node:
        raise RuntimeError(f"DicomModalities has no {MODALITY}")
    title = json.loads(orthanc.RestApiGet(f"/modalities/{MODALITY}/configuration"))["AET"]
    # what came from the node is its own result
    if metadata(series, "RemoteAET") == title:
        return
    orthanc.RestApiPost(f"/modalities/{MODALITY}/store", json.dumps({"Resources": [series], "Synchronous": True}))
    found = json.loads(orthanc.RestApiGet(f"/series/{series}"))
    said = {"SeriesInstanceUID": found["MainDicomTags"]["SeriesInstanceUID"], "Instances": len(found["Instances"])}
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {KEY}"} if KEY else {})}
    request = urllib.request.Request(f"{URL}/api/v1/orthanc/stable-series", json.dumps(said).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60):
        pass


def metadata(series, name):
    try:
        return orthanc.RestApiGet(f"/series/{series}/metadata/{name}").decode()
    except orthanc.OrthancException:
        return None


orthanc.RegisterOnChangeCallback(on_change)
threading.Thread(target=send_all, daemon=True).start()
