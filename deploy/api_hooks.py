"""What schemathesis cannot make from the document: ids that exist, events that platforms send, and the secrets that routes ask for."""
import hashlib
import hmac
import json
import os
import pathlib
import urllib.request

import requests
import schemathesis

URL, INTEGRATION = os.environ["API_URL"], os.environ["API_INTEGRATION"]
ROOT = pathlib.Path(__file__).parent.parent
EVENTS = {
    platform: [json.loads(path.read_text()) for path in sorted((ROOT / "Tests/Support/RecordedWebhooks").glob(f"{platform}*.json"))]
    for platform in ("github", "gitlab")}
NAMES = ["pull_request", "issue_comment", "check_run", "check_suite", "installation", "repository", "merge_group", "push"]


def submit(number):
    review = {
        "owner": {"type": "org", "id": "acme"}, "platform": "github", "repoFullName": "acme/shop", "prNumber": number,
        "prUrl": f"https://github.com/acme/shop/pull/{number}", "prTitle": "Faster", "prAuthor": "ann", "baseRef": "main",
        "headRef": "fast", "headSha": f"{number:040x}"}
    request = urllib.request.Request(
        f"{URL}/api/reviews", json.dumps(review).encode(),
        {"Authorization": f"Bearer {os.environ['BATON_API_TOKEN']}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["id"]


REVIEWS = [submit(number) for number in range(1, 9)]


def draw(value, count):
    """A number below count that is the same for the same value, so that a seed plays the same run again."""
    return hashlib.sha256(repr(value).encode()).digest()[0] % count


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every second id exists."""
    for name, existing in (("id", REVIEWS), ("integrationId", [INTEGRATION])):
        if path_parameters and name in path_parameters and draw(path_parameters, 2):
            path_parameters[name] = existing[draw([path_parameters], len(existing))]
    return path_parameters


@schemathesis.hook
def map_headers(context, headers):
    if headers and "X-GitHub-Event" in headers and draw(headers, 4):
        headers["X-GitHub-Event"] = NAMES[draw([headers], len(NAMES))]
    return headers


@schemathesis.hook
def map_body(context, body):
    """Three of four events are a recorded one in which some parts are replaced."""
    platform = context.operation.path.split("/")[2] if context.operation.path.startswith("/webhooks/") else None
    if platform and isinstance(body, dict) and draw(body, 4):
        event = dict(EVENTS[platform][draw([body], len(EVENTS[platform]))])
        names = sorted(event)
        event.update({names[draw([name], len(names))]: value for name, value in body.items() if draw(name, 2)})
        return event
    return body


class Secrets(requests.auth.AuthBase):
    """Sees a request as it is sent."""

    def __call__(self, request):
        path = request.path_url
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        if path.startswith("/webhooks/github"):
            code = hmac.new(os.environ["BATON_GITHUB_WEBHOOK_SECRET"].encode(), body, hashlib.sha256).hexdigest()
            request.headers["X-Hub-Signature-256"] = f"sha256={code}"
        elif path.startswith("/webhooks/gitlab"):
            request.headers["X-Gitlab-Token"] = os.environ["BATON_GITLAB_WEBHOOK_SECRET"]
        elif path.startswith("/api/internal"):
            request.headers["X-Internal-Secret"] = os.environ["BATON_CALLBACK_SECRET"]
        else:
            request.headers["Authorization"] = f"Bearer {os.environ['BATON_API_TOKEN']}"
        return request


schemathesis.auth.set_from_requests(Secrets())
