"""`ballast explain job/NAME`: why a job is where it is, waits, or is capped, with the numbers of the decision.

It reads one TrainingJob, as whoever the kubeconfig says, and writes nothing. Exit statuses: 0 explained, 1 the job is
not there or cannot be read, 2 wrong arguments or no usable kubeconfig. What must hold: it looks in one namespace only,
and tells of no other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

# Whoever runs another process reads these options too: what takes time to import is imported where it is used.
if TYPE_CHECKING:
    from ballast.api.trainingjob import TrainingJob
    from ballast.kube import ApiRefused

EXPLAINED = 0
NOT_FOUND = 1
WRONG_ARGUMENTS = 2
KINDS = ("job", "tj", "trainingjob", "trainingjobs")
NEEDS = ("aiohttp", "kubernetes", "pydantic")
"""Modules that not every installation has."""
FIELDS = (
    "phase",
    "reason",
    "queuedAt",
    "startedAt",
    "finishedAt",
    "retryAt",
    "queue",
    "decision",
    "placement",
    "operatingPoint",
    "energy",
    "conditions",
)
"""Of the status, what `-o json` prints: all that the text is made of, and no more than one looks for."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to those of `ballast`."""
    parser = commands.add_parser(
        "explain",
        help="tell why a job runs where it does, waits, or is capped",
        description="Tell of one TrainingJob where it stands and since when, which options were considered with their "
        "joules and seconds and what spoke against each, and how its power limit was chosen.",
    )
    parser.add_argument("job", type=_job_name, metavar="job/NAME", help="the TrainingJob; job/ may be left out")
    parser.add_argument("-n", "--namespace", type=_namespace, help="its namespace (default: the context's)")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, or else ~/.kube/config")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain the job; return the exit status."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        return _fail(f"explain needs {', '.join(missing)}: pip install 'ballast[operator]'", WRONG_ARGUMENTS)
    import asyncio

    from ballast.errors import BallastError, UserError

    try:
        return asyncio.run(_explain(options))
    except UserError as mistake:
        return _fail(str(mistake), WRONG_ARGUMENTS)
    except BallastError as error:
        return _fail(str(error), NOT_FOUND)


async def _explain(options: argparse.Namespace) -> int:
    from ballast import kubeconfig
    from ballast.act.paths import training_job
    from ballast.api.kinds import InvalidObject
    from ballast.api.trainingjob import TrainingJob
    from ballast.cli.explanation import render
    from ballast.kube import ApiRefused, KubeClient

    file, context = options.kubeconfig, options.context
    namespace = options.namespace or kubeconfig.namespace(file, context)
    try:
        async with await KubeClient.connect(user_agent="ballast-explain", file=file, context=context) as kube:
            job = TrainingJob.parse(await kube.get(training_job(namespace, options.job)))
    except ApiRefused as error:
        return _fail(_refused(error, namespace, options.job), NOT_FOUND)
    except InvalidObject as error:  # there, but no job that this version can read
        return _fail(str(error), NOT_FOUND)
    if options.output == "json":
        print(json.dumps(_as_json(job), indent=2))
    else:
        print(render(job, time.time()), end="")
    return EXPLAINED


def _as_json(job: TrainingJob) -> dict[str, Any]:
    status = job.status.to_manifest()
    return {
        "namespace": job.metadata.namespace,
        "name": job.name,
        **{field: status[field] for field in FIELDS if field in status},
    }


def _refused(error: ApiRefused, namespace: str, name: str) -> str:
    """Return what to do about an answer of the API server's."""
    match error.status, error.reason:
        case 404, "NotFound":
            return f"there is no TrainingJob {name} in namespace {namespace}; name another namespace with -n"
        case 404, _:
            return "this cluster has no TrainingJobs: install Ballast, or choose another cluster with --context"
        case 401, _:
            return f"the API server does not know who asks ({error}): renew the kubeconfig's credentials"
        case 403, _:
            return f"TrainingJobs of namespace {namespace} may not be read: ask for the right to get them ({error})"
    return f"TrainingJob {name} of namespace {namespace} cannot be read: {error}"


def _fail(message: str, status: int) -> int:
    print(f"ballast: {message}", file=sys.stderr)
    return status


def _job_name(text: str) -> str:
    kind, slash, name = text.rpartition("/")
    if slash and kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r}: only TrainingJobs are explained, as in job/NAME")
    if _NAME.fullmatch(name) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a TrainingJob, as in job/NAME")
    return name


def _namespace(text: str) -> str:
    if _NAMESPACE.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a namespace")
    return text
