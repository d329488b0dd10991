// SPDX-License-Identifier: Apache-2.0

extension ARMError {
    /// One sentence with the next command to type; `nil` where none is known.
    public var remedy: String? {
        for detail in details.reversed() {
            if let found = remedy(detail.code.lowercased()) { return found }
        }
        return byWords ?? byStatus ?? byID
    }

    /// What helps with a code of the service, in lower case.
    private func remedy(_ code: String) -> String? {
        accessRemedy(code) ?? absenceRemedy(code) ?? placeRemedy(code) ?? imageRemedy(code) ?? groupRemedy(code)
            ?? wishRemedy(code) ?? deploymentRemedy(code)
    }

    private func accessRemedy(_ code: String) -> String? {
        switch code {
        case "invalidauthenticationtokentenant":
            return
                "the subscription is of another tenant: az account show --subscription \(subscription) --query tenantId, "
                + "then set AZURE_TENANT_ID to that"
        case "invalidauthenticationtoken", "expiredauthenticationtoken", "authenticationfailed":
            return "az login, and try again; coracle login --help lists the other kinds of identity"
        case "invalidauthenticationtokenaudience":
            return "the token is of another cloud: set CORACLE_AZURE_CLOUD, or --azure-cloud, to the subscription's"
        case "authorizationfailed", "linkedauthorizationfailed": return assignment
        case "unauthorizedforcredentialoperations":
            return "az acr update --name \(name) --admin-enabled true, or --pull-with identity=ID or service-principal"
        case "roleassignmentexists": return "the role is assigned already: nothing is left to do"
        case "requestdisallowedbypolicy":
            return
                "a policy of the subscription forbids it: az policy assignment list --scope /subscriptions/\(subscription)"
        case "scopelocked":
            return "a lock forbids it: az lock list --resource-group \(group), and az lock delete where it may go"
        case "readonlydisabledsubscription", "subscriptionnotactive", "disallowedoperation":
            return "the subscription is switched off: az account show --subscription \(subscription) --query state"
        default: return nil
        }
    }

    private func absenceRemedy(_ code: String) -> String? {
        switch code {
        case "resourcegroupnotfound":
            return
                "az group create --name \(group) --location REGION, or az group list --output table for those that there are"
        case "resourcenotfound", "notfound", "parentresourcenotfound":
            return "az resource list --resource-group \(group) --output table lists what there is"
        case "subscriptionnotfound", "invalidsubscriptionid":
            return "az account list --output table lists the subscriptions that there are; set AZURE_SUBSCRIPTION_ID"
        case "missingsubscriptionregistration", "subscriptionnotregistered":
            return "az provider register --namespace \(namespace) --wait --subscription \(subscription)"
        case "noregisteredproviderfound", "invalidapiversionparameter", "invalidresourcetype":
            return
                "az provider show --namespace \(namespace) --query \"resourceTypes[].{type:resourceType,where:locations}\" "
                + "lists regions and versions"
        case "containernotfound", "containernotrunning", "containergroupnotrunning":
            return "coracle ps --resource-group \(group) --name \(name) shows what runs; coracle start starts it"
        case "resourcegroupbeingdeleted": return "az group wait --name \(group) --deleted, and try again"
        default: return nil
        }
    }

    private func placeRemedy(_ code: String) -> String? {
        switch code {
        case "locationnotavailableforresourcetype", "locationnotavailableforresourcegroup", "invalidlocation":
            return
                "choose another region: az provider show --namespace \(namespace) --query \"resourceTypes[].locations\""
        case "invalidresourcelocation":
            return "a resource cannot move: leave --location as it is, or choose another name"
        case "containergroupquotareached", "quotaexceeded", "standardcoresquotareached", "resourcequotaexceeded",
            "operationnotallowed" where status != 429:
            return
                "az container list-usage --location \(region) shows what is used up: delete groups, choose another region, "
                + "or ask for more at https://aka.ms/azquota"
        case "serviceunavailable" where status == 503: return byStatus
        case "serviceunavailable", "insufficientcapacity", "skunotavailable", "regioncapacityexceeded":
            return
                "the region has no room for it now: try again later, with --cpu, fewer, or --location, another region"
        case "toomanyrequests", "subscriptionrequeststhrottled", "resourcerequeststhrottled", "requeststhrottled",
            "operationnotallowed" where status == 429:
            return "Azure asks to be left alone" + (retryAfter.map { " for \($0) s" } ?? " for a while")
                + ": try again then"
        case "dnsnamelabelnotavailable", "dnsrecordinuse", "dnsnamelabeltaken", "dnslabelinuse":
            return "another group has the name in that region: --dns-label, another one, or --dns-scope TenantReuse"
        default: return nil
        }
    }

    private func imageRemedy(_ code: String) -> String? {
        switch code {
        case "inaccessibleimage", "imagepullfailed", "failedtopullimage":
            return
                "coracle inspect IMAGE says whether it is there, for linux/amd64 and without an index; the credential "
                + "needs AcrPull: az role assignment list --scope $(az acr show --name REGISTRY --query id --output tsv)"
        case "registryerrorresponse":
            return "the image's registry did not answer Azure (Docker Hub limits its pulls): try again, or "
                + "coracle copy IMAGE REGISTRY.azurecr.io/NAME and deploy that"
        case "invalidimageregistrypassword", "imageregistrycredentialmissing", "invalidimageregistryusername":
            return
                "give the registry's password anew, as Azure never returns it: --pull-with admin, service-principal, "
                + "user=NAME or identity=ID"
        case "invalidimageregistryserver", "duplicateimageregistryserver", "invalidimageregistrycredential":
            return "each private registry of the group needs one credential, and no other has one: --pull-with"
        case "invalidimageregistryidentity":
            return "the identity has to be one of the group's: --pull-with identity=ID, of a user-assigned one"
        case "invalidimageregistrycredentialtype":
            return "give the registry a user-assigned identity or a name with a password, not both"
        case "osversionnotsupported", "unsupportedimageosversion", "imageostypenotmatchcontainergroup":
            return
                "the image is for another operating system: coracle inspect IMAGE, and build with --platform linux/amd64"
        default: return nil
        }
    }

    private func groupRemedy(_ code: String) -> String? {
        switch code {
        case "invalidcontainergroupupdate":
            return
                "this change needs a new group, whose address changes: --recreate, or "
                + "az container delete --resource-group \(group) --name \(name), and deploy again"
        case "containergrouptransitioning", "anotheroperationinprogress", "operationinprogress":
            return "the group is still changing: az container show --resource-group \(group) --name \(name) "
                + "--query provisioningState, and try again once it is Succeeded"
        case "deploymentactive":
            return "az deployment group wait --resource-group \(group) --name \(name) --updated, and try again"
        case "subnetdelegationrequired", "subnetmissingrequireddelegation":
            return
                "az network vnet subnet update --ids SUBNET --delegations Microsoft.ContainerInstance/containerGroups"
        case "publicipnotsupportedwithvnet", "publicipaddressnotsupportedwithvnet", "ipaddresstypenotsupported":
            return "a group in a subnet has no public address: --ip private and no --dns-label, or no --subnet"
        case "containergroupinitcontainerfailed":
            return "coracle logs --resource-group \(group) --name \(name) --container CONTAINER shows what it wrote"
        case "containergroupdeploymenttimedout", "operationtimedout", "containergroupcreationtimedout":
            return
                "coracle ps --resource-group \(group) --name \(name) says how far it is; deploy again where it failed"
        default: return nil
        }
    }

    /// What somebody asked for that Azure does not give.
    private func wishRemedy(_ code: String) -> String? {
        switch code {
        case "portsnotfoundincontainers", "missingports", "invalidport": return "--port NUMBER opens a container's port"
        case "duplicatecontainerports", "duplicatecontainername":
            return "containers of a group share one address: --container name=…,port=… gives each its own name and port"
        case "invaliddnsnamelabel": return "--dns-label, 5 to 63 lower-case letters, digits and dashes"
        case "invalidcontainergroupname", "invalidresourcename":
            return "--name, at most 63 lower-case letters, digits and dashes"
        case "invalidenvironmentvariablename", "invalidenvironmentvariable":
            return "--env NAME=value, the name of letters, digits and \"_\"; --env-rm takes one away"
        case "invalidvolume", "volumemountnotfound", "invalidmountpath", "invalidsecretvolume", "invalidvolumemount":
            return "--volume type=azureFile|emptyDir|secret|gitRepo,name=NAME,target=PATH: coracle deploy aci --help"
        case "resourcecountexceeded", "resourcerequestsnotspecified", "missingresources", "invalidresourcerequests":
            return "--cpu, --memory and --container: a group has at most 60 containers, 20 volumes and 5 ports"
        case "invalidrestartpolicy": return "--restart-policy Always, OnFailure or Never"
        case "storageaccountkeyinvalid", "invalidstorageaccountkey", "azurefilemountfailed",
            "failedmountazurefilevolume":
            return "az storage account keys list --account-name ACCOUNT, then --secret-source VOLUME=env:VARIABLE"
        case "invalidrequestcontent", "invalidparameter", "invalidcontainergroup":
            return target.map { "the request is wrong at \($0): change what it was made from" }
        default: return nil
        }
    }

    private func deploymentRemedy(_ code: String) -> String? {
        switch code {
        case "keyvaultparameterreferenceauthorizationfailed", "keyvaultparameterreferencesecretretrievefailed":
            return "az keyvault update --name VAULT --enabled-for-template-deployment true"
        case "keyvaultparameterreferencenotfound": return "az keyvault list --query [].id lists the vaults"
        case "deploymentquotaexceeded":
            return "az deployment group list --resource-group \(group) lists old ones: az deployment group delete"
        case "deploymentnotfound":
            return "az deployment group list --resource-group \(group) lists those that there are"
        case "invalidtemplate", "invalidtemplatedeployment":
            return "coracle deploy aci … --emit arm makes the template anew; az deployment group validate looks at it"
        default: return nil
        }
    }

    // MARK: What codes do not say

    private var byWords: String? {
        let words = message.lowercased()
        if words.contains("still transitioning") { return groupRemedy("containergrouptransitioning") }
        if words.contains("is not accessible") && words.contains("image") { return imageRemedy("inaccessibleimage") }
        if words.contains("does not have authorization") { return assignment }
        if words.contains("toomanyrequests") || words.contains("too many requests") {
            return placeRemedy("toomanyrequests")
        }
        if words.contains("delegat") && words.contains("subnet") { return groupRemedy("subnetdelegationrequired") }
        if words.contains("not registered to use namespace") { return absenceRemedy("missingsubscriptionregistration") }
        if words.contains("quota") { return placeRemedy("quotaexceeded") }
        if words.contains("dns") && (words.contains("in use") || words.contains("not available")) {
            return placeRemedy("dnsnamelabelnotavailable")
        }
        return nil
    }

    private var byStatus: String? {
        switch status {
        case 401: accessRemedy("invalidauthenticationtoken")
        case 403: assignment
        case 404: absenceRemedy("resourcenotfound")
        case 409:
            "something else changes it now: az resource show --ids \(resource.prefix { $0 != "?" }) "
                + "--query properties.provisioningState, and try again once it is Succeeded"
        case 429: placeRemedy("toomanyrequests")
        case 500...:
            "it is Azure's fault: try again in some minutes; https://azure.status.microsoft says whether it is known"
        default: nil
        }
    }

    /// What Azure kept of the request, for errors that nobody here knows.
    private var byID: String? {
        let letters = (correlationID ?? "").utf8
        guard letters.count == 36,
            letters.allSatisfy({ $0 == 0x2D || ($0 | 0x20 > 0x60 && $0 | 0x20 < 0x67) || isDigit($0) })
        else { return nil }
        return
            "az monitor activity-log list --correlation-id \(correlationID ?? "") --offset 1h says what Azure kept of it"
    }

    private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    // MARK: What is named in the request or the answer

    /// The part of the id after a word, as `subscriptions`; a place to fill in where it has none.
    private func part(_ word: String, _ other: String) -> String {
        let parts = resource.prefix { $0 != "?" }.split(separator: "/").map { String($0) }
        guard let index = parts.firstIndex(where: { $0.lowercased() == word }), index + 1 < parts.count else {
            return other
        }
        return parts[index + 1]
    }

    private var subscription: String { part("subscriptions", "SUBSCRIPTION") }
    private var group: String { part("resourcegroups", "GROUP") }
    /// The region that the message names.
    private var region: String { quoted(after: "region ") ?? quoted(after: "location ") ?? "REGION" }
    private var name: String { part("containergroups", part("deployments", part("registries", "NAME"))) }

    /// The provider: the one that the message names, else that of the id.
    private var namespace: String {
        if let found = quoted(after: "namespace ") { return found }
        return part("providers", "Microsoft.ContainerInstance")
    }

    /// The role that has an action, and the line that gives it, with the ids that the message names.
    private var assignment: String {
        let action = (quoted(after: "perform action ") ?? "").lowercased()
        let linked = quoted(after: "linked scope(s) ")
        let scope = linked ?? quoted(after: "over scope ") ?? "/subscriptions/\(subscription)/resourceGroups/\(group)"
        let role: String
        if let linked = linked?.lowercased() {
            role = linked.contains("/subnets/") ? "Network Contributor" : "Managed Identity Operator"
        } else if action.contains("roleassignments") {
            role = "Role Based Access Control Administrator"
        } else if action.hasSuffix("/read"), !action.contains("list") {
            role = "Reader"
        } else {
            role = "Contributor"
        }
        let object = quoted(after: "object id ")
        let who = object.map { "--assignee-object-id \($0)" } ?? "--assignee ID"
        return "az role assignment create \(who) --role \"\(role)\" --scope \(scope)  # takes minutes to count"
    }

    /// The text in single quotes after some words of the message; only characters that a shell leaves alone.
    private func quoted(after words: String) -> String? {
        let lower = message.lowercased()
        guard lower.utf8.count == message.utf8.count, let found = lower.firstRange(of: words + "'") else { return nil }
        let start = lower.utf8.distance(from: lower.startIndex, to: found.upperBound)
        let text = message.utf8.dropFirst(start).prefix { $0 != UInt8(ascii: "'") }
        let isSafe = text.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-._/()".utf8.contains(byte)
        }
        // Parentheses are in names of groups, and would have to be quoted.
        guard isSafe, !text.isEmpty, let value = String(text) else { return nil }
        return value.contains("(") ? "\"\(value)\"" : value
    }
}
