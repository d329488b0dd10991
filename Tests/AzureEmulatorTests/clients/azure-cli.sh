#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# azure-cli against the emulator: sign in, a container group from its creation to its end, a registry, a template.
# usage: azure-cli.sh AZ EMULATOR LAYOUT [SPECIFICATIONS]; LAYOUT holds an image that serves a page on port 8080.
set -euo pipefail
az=$1 emulator=$2 layout=$3 specifications=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
"$emulator" --folder "$folder/azure" --registry clientsreg --image "example.org/demo/web:1=$layout" \
    ${specifications:+--specs "$specifications"} >"$folder/ready" 2>"$folder/log" &
process=$!
finish() {
    code=$?
    kill "$process" 2>/dev/null || true
    wait "$process" || true
    if [ "$code" != 0 ]; then
        echo "azure-cli: FAILED; the emulator's last words:" >&2
        tail -30 "$folder/log" >&2
    fi
    rm -rf "$folder"
}
trap finish EXIT
for _ in $(seq 200); do
    grep -q '^REGISTRY_' "$folder/ready" && break
    kill -0 "$process"
    sleep 0.1
done
url=$(head -n 1 "$folder/ready")
value() { sed -n "s/^$1=//p" "$folder/ready"; }
export AZURE_CONFIG_DIR=$folder/config REQUESTS_CA_BUNDLE AZURE_CORE_COLLECT_TELEMETRY=false NO_COLOR=1
REQUESTS_CA_BUNDLE=$(value CA_CERTIFICATE)
passed=0
check() {
    local name=$1 expected=$2 actual=$3
    if [[ $actual != *"$expected"* ]]; then
        printf 'azure-cli: %s: expected "%s" in:\n%s\n' "$name" "$expected" "$actual" >&2
        exit 1
    fi
    passed=$((passed + 1))
    echo "azure-cli: $name"
}
run() { "$az" "$@" --only-show-errors; }
fails() {
    if "$az" "$@" --only-show-errors 2>&1; then echo "it did not fail"; fi
}

run config set core.instance_discovery=false
run cloud register --name Emulated --endpoint-resource-manager "$url" --endpoint-active-directory "$url" \
    --endpoint-active-directory-resource-id https://management.core.windows.net/ \
    --endpoint-active-directory-graph-resource-id "$url" --endpoint-microsoft-graph-resource-id "$url" \
    --suffix-acr-login-server-endpoint .azurecr.io
run cloud set --name Emulated
check "a wrong secret is refused" AADSTS7000215 \
    "$(fails login --service-principal -u "$(value AZURE_CLIENT_ID)" -p wrong --tenant "$(value AZURE_TENANT_ID)")"
check "a service principal signs in" "$(value AZURE_SUBSCRIPTION_ID)" \
    "$(run login --service-principal -u "$(value AZURE_CLIENT_ID)" -p "$(value AZURE_CLIENT_SECRET)" \
        --tenant "$(value AZURE_TENANT_ID)")"
check "a token for the resource manager is given" '"tokenType": "Bearer"' "$(run account get-access-token)"
check "a resource group is made" Succeeded "$(run group create --name clients --location westeurope)"

check "a container group is created" '"provisioningState": "Succeeded"' \
    "$(run container create --resource-group clients --name web --image example.org/demo/web:1 --os-type Linux \
        --cpu 0.5 --memory 0.5 --ports 8080 --ip-address Public --dns-name-label clients-web \
        --environment-variables GREETING=hello --secure-environment-variables TOKEN=hidden-value)"
shown=$(run container show --resource-group clients --name web)
check "it is shown running" '"state": "Running"' "$shown"
[[ $shown != *hidden-value* ]] || { echo "azure-cli: a secret is shown" >&2; exit 1; }
address=$(run container show --resource-group clients --name web --query ipAddress.ip --output tsv)
page=$(curl --silent --show-error --retry 20 --retry-delay 1 --retry-all-errors "http://$address:8080/")
check "its page answers at its address" "hello from the emulator" "$page"
check "its logs are its logs" "response:200" "$(run container logs --resource-group clients --name web)"
check "it is listed" web "$(run container list --resource-group clients --output table)"
check "it is stopped" "" "$(run container stop --resource-group clients --name web)"
check "it is shown stopped" Stopped "$(run container show --resource-group clients --name web --query instanceView.state)"
run container start --resource-group clients --name web
check "it is started again" Running "$(run container show --resource-group clients --name web --query instanceView.state)"
run container restart --resource-group clients --name web
check "an image that is not there is refused" InaccessibleImage \
    "$(fails container create --resource-group clients --name nothing --image example.org/demo/web:2 --os-type Linux \
        --cpu 0.5 --memory 0.5)"
check "it is deleted" web "$(run container delete --resource-group clients --name web --yes)"
check "and gone" ResourceNotFound "$(fails container show --resource-group clients --name web)"

check "a registry is shown" "$(value REGISTRY_clientsreg)" "$(run acr show --name clientsreg)"
check "its admin user has passwords" password2 "$(run acr credential show --name clientsreg)"
check "a token of the registry is given" '"refreshToken"' "$(run acr login --name clientsreg --expose-token)"
check "a registry is made" '"provisioningState": "Succeeded"' \
    "$(run acr create --resource-group clients --name clientstwo --sku Standard)"
check "a name that is taken is known" '"nameAvailable": false' "$(run acr check-name --name clientsreg)"
check "it holds nothing yet" "[]" "$(run acr repository list --name clientsreg)"
check "a scope map and a token are made" '"provisioningState": "Succeeded"' \
    "$(run acr token create --name reader --registry clientsreg --repository team/app content/read)"

template=$here/template.json
check "a template is valid" '"provisioningState": "Succeeded"' \
    "$(run deployment group validate --resource-group clients --template-file "$template" --parameters secret=hidden-value)"
check "what a template would do is said" "+ Microsoft.ContainerInstance/containerGroups/from-template" \
    "$(run deployment group what-if --resource-group clients --template-file "$template" --parameters secret=hidden-value)"
deployed=$(run deployment group create --resource-group clients --name first --template-file "$template" \
    --parameters secret=hidden-value)
check "a template is deployed" '"provisioningState": "Succeeded"' "$deployed"
check "its outputs are known" '"address"' "$deployed"
[[ $deployed != *hidden-value* ]] || { echo "azure-cli: a secret of a template is shown" >&2; exit 1; }
check "what it made runs" Running \
    "$(run container show --resource-group clients --name from-template --query instanceView.state)"
check "what it would do now is nothing" "no change" \
    "$(run deployment group what-if --resource-group clients --template-file "$template" --parameters secret=hidden-value)"
check "a template with a fault is refused" InvalidTemplate \
    "$(fails deployment group create --resource-group clients --template-file "$here/broken.json")"
check "its role assignment is there" AcrPull \
    "$(run role assignment list --all --query "[].roleDefinitionName" --output tsv)"
run group delete --name clients --yes
check "all is gone with the group" ResourceGroupNotFound "$(fails group show --name clients)"
echo "azure-cli: $passed passed, 0 failed"
