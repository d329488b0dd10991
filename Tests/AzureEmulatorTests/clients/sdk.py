# SPDX-License-Identifier: Apache-2.0
"""Azure's SDKs for Python against the emulator: every kind of sign-in, container groups, the registry's own tokens.

usage: sdk.py EMULATOR LAYOUT [SPECIFICATIONS]; LAYOUT holds an image that serves a page on port 8080.
"""
import base64
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

import websocket
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.containerregistry import ContainerRegistryClient
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from azure.mgmt.containerinstance import ContainerInstanceManagementClient
from azure.mgmt.containerinstance import models

passed = 0


def check(name, condition, seen=""):
    global passed
    if not condition:
        sys.exit(f"sdk: {name}: FAILED {seen}")
    passed += 1
    print(f"sdk: {name}")


def fails(name, kind, text, call):
    try:
        call()
    except kind as error:
        check(name, text in str(error), str(error))
        return error
    sys.exit(f"sdk: {name}: it did not fail")


def federated(folder, issuer, subject, seconds):
    """A token of somebody else: the emulator trusts its claims, as nobody here can ask the issuer for its key."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    now = int(time.time())
    claims = {"iss": issuer, "sub": subject, "aud": "api://AzureADTokenExchange", "nbf": now - 600, "exp": now + seconds}
    return f'{part({"alg": "RS256", "typ": "JWT"})}.{part(claims)}.{base64.urlsafe_b64encode(b"unsigned").decode()}'


def main():
    emulator, layout = sys.argv[1:3]
    folder = tempfile.mkdtemp()
    certificate = f"{folder}/client.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=client",
         "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    with open(certificate, "w") as file:
        file.write(open(f"{folder}/key.pem").read() + open(f"{folder}/cert.pem").read())
    issuer, subject = "https://token.actions.githubusercontent.com", "repo:team/app:ref:refs/heads/main"
    command = [emulator, "--folder", f"{folder}/azure", "--registry", "sdkregistry", "--image",
               f"example.org/demo/web:1={layout}", "--certificate", f"{folder}/cert.pem", "--federation",
               f"{issuer},{subject}", "--quiet"]
    if len(sys.argv) > 3:
        command += ["--specs", sys.argv[3]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        values = {}
        while "REGISTRY_sdkregistry" not in values:
            line = process.stdout.readline()
            if not line:
                sys.exit("sdk: the emulator ended")
            name, _, value = line.strip().partition("=")
            values[name] = value
        os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = values["CA_CERTIFICATE"]
        run(url, values, certificate, issuer, subject, folder)
    finally:
        process.terminate()
        process.wait()
        subprocess.run(["rm", "-rf", folder])
    print(f"sdk: {passed} passed, 0 failed")


def run(url, values, certificate, issuer, subject, folder):
    scope = "https://management.azure.com/.default"
    common = {"authority": url, "disable_instance_discovery": True}
    tenant, client = values["AZURE_TENANT_ID"], values["AZURE_CLIENT_ID"]
    secret = ClientSecretCredential(tenant, client, values["AZURE_CLIENT_SECRET"], **common)
    check("a secret gives a token", secret.get_token(scope).expires_on > time.time())
    fails("a wrong secret is refused", ClientAuthenticationError, "AADSTS7000215",
          lambda: ClientSecretCredential(tenant, client, "wrong", **common).get_token(scope))
    fails("an unknown application is refused", ClientAuthenticationError, "AADSTS700016",
          lambda: ClientSecretCredential(tenant, "99999999-9999-4999-8999-999999999999", "x", **common).get_token(scope))
    check("a certificate gives a token",
          CertificateCredential(tenant, client, certificate, **common).get_token(scope).token)
    good = ClientAssertionCredential(tenant, client, lambda: federated(folder, issuer, subject, 300), **common)
    check("a federated token gives a token", good.get_token(scope).token)
    fails("an expired federated token is refused", ClientAuthenticationError, "AADSTS700024",
          lambda: ClientAssertionCredential(
              tenant, client, lambda: federated(folder, issuer, subject, -5), **common).get_token(scope))
    fails("another subject is refused", ClientAuthenticationError, "AADSTS700213",
          lambda: ClientAssertionCredential(
              tenant, client, lambda: federated(folder, issuer, "repo:team/other", 300), **common).get_token(scope))
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = url
    check("the metadata service gives a token", ManagedIdentityCredential().get_token(scope).token)
    del os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"]
    os.environ["IDENTITY_ENDPOINT"], os.environ["IDENTITY_HEADER"] = f"{url}/msi/token", "emulated-identity-header"
    check("the endpoint of App Service gives a token", ManagedIdentityCredential().get_token(scope).token)
    groups(url, values, secret)
    registry(values, secret)


def groups(url, values, credential):
    subscription = values["AZURE_SUBSCRIPTION_ID"]
    aci = ContainerInstanceManagementClient(
        credential, subscription, base_url=url, credential_scopes=["https://management.azure.com/.default"])
    wanted = models.ContainerGroup(
        location="westeurope", os_type="Linux", restart_policy="Always",
        ip_address=models.IpAddress(type="Public", ports=[models.Port(port=8080, protocol="TCP")]),
        containers=[models.Container(
            name="web", image="example.org/demo/web:1", ports=[models.ContainerPort(port=8080)],
            environment_variables=[models.EnvironmentVariable(name="TOKEN", secure_value="hidden-value")],
            resources=models.ResourceRequirements(requests=models.ResourceRequests(cpu=0.5, memory_in_gb=0.5)))])
    made = aci.container_groups.begin_create_or_update("coracle", "sdk", wanted).result()
    check("a container group is created", made.provisioning_state == "Succeeded", made.provisioning_state)
    page = None
    for _ in range(100):
        try:
            page = urllib.request.urlopen(f"http://{made.ip_address.ip}:8080/").read().decode()
            break
        except OSError:
            time.sleep(0.1)
    check("its page answers", page is not None and "hello" in page, page)
    shown = aci.container_groups.get("coracle", "sdk")
    check("its instance view says that it runs", shown.instance_view.state == "Running")
    check("no secret comes back", shown.containers[0].environment_variables[0].secure_value is None)
    check("lists have no instance view",
          all(group.instance_view is None for group in aci.container_groups.list_by_resource_group("coracle")))
    check("its logs are its logs", "200" in aci.containers.list_logs("coracle", "sdk", "web").content)
    request = models.ContainerExecRequest(
        command="/bin/sh", terminal_size=models.ContainerExecRequestTerminalSize(rows=24, cols=80))
    session = aci.containers.execute_command("coracle", "sdk", "web", request)
    socket = websocket.create_connection(session.web_socket_uri, sslopt={"ca_certs": os.environ["SSL_CERT_FILE"]})
    socket.send(session.password)
    socket.send("echo $TOKEN | tr a-z A-Z 2>/dev/null || echo ${#TOKEN}; busybox stty size; exit\n")
    said = b""
    while True:
        part = socket.recv()
        if not part:
            break
        said += part if isinstance(part, bytes) else part.encode()
    check("a command beside it has a terminal of its size", b"24 80" in said, said)
    post(url, {"fault": "transitioning", "method": "PUT"})
    error = fails("a planned conflict happens", HttpResponseError, "still transitioning",
                  lambda: aci.container_groups.begin_create_or_update("coracle", "sdk", wanted))
    check("with its code", error.error.code == "ContainerGroupTransitioning", error.error.code)
    post(url, {"fault": "throttled", "retryAfter": 1, "method": "GET", "path": "containerGroups"})
    began = time.time()
    aci.container_groups.get("coracle", "sdk")
    check("after 429 the client waits as it was told", time.time() - began >= 1)
    wanted.containers[0].resources.requests.cpu = 1
    fails("what may not change does not change", HttpResponseError, "InvalidContainerGroupUpdate",
          lambda: aci.container_groups.begin_create_or_update("coracle", "sdk", wanted))
    aci.container_groups.stop("coracle", "sdk")
    for _ in range(100):
        if aci.container_groups.get("coracle", "sdk").instance_view.state == "Stopped":
            break
        time.sleep(0.1)
    check("it is stopped", aci.container_groups.get("coracle", "sdk").instance_view.state == "Stopped")
    aci.container_groups.begin_start("coracle", "sdk").result()
    check("it is started", aci.container_groups.get("coracle", "sdk").instance_view.state == "Running")
    aci.container_groups.begin_delete("coracle", "sdk").result()
    fails("it is deleted", ResourceNotFoundError, "ResourceNotFound", lambda: aci.container_groups.get("coracle", "sdk"))


def post(url, fault):
    context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    request = urllib.request.Request(f"{url}/_emulator/faults", json.dumps(fault).encode(), method="POST")
    urllib.request.urlopen(request, context=context)


def registry(values, credential):
    host = values["REGISTRY_sdkregistry"]
    client = ContainerRegistryClient(f"https://{host}", credential)
    check("the list of repositories is empty", list(client.list_repository_names()) == [])
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    digest, size = client.upload_blob("team/app", __import__("io").BytesIO(config))
    check("a blob is uploaded", digest == "sha256:" + hashlib.sha256(config).hexdigest() and size == len(config))
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size}}
    named = client.set_manifest("team/app", manifest, tag="v1")
    check("a manifest is set", named.startswith("sha256:"))
    check("its repository is listed", list(client.list_repository_names()) == ["team/app"])
    check("its tag is listed", [tag.name for tag in client.list_tag_properties("team/app")] == ["v1"])
    check("its manifest is listed", [item.digest for item in client.list_manifest_properties("team/app")] == [named])
    check("the repository has properties", client.get_repository_properties("team/app").tag_count == 1)
    check("the manifest comes back", client.get_manifest("team/app", "v1").digest == named)
    client.delete_repository("team/app")
    check("a deleted repository is gone", list(client.list_repository_names()) == [])


main()
