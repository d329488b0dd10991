// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Who we are at Azure: its registries, and its resource manager.
struct AzureFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Which identity: auto, service-principal, federated, managed-identity, cli, admin (of a registry) or none.",
            discussion: "Without it, the first that there is, where nothing else was found for a registry of Azure.",
            valueName: "kind"
        )
    )
    var azure: String?

    @Option(help: ArgumentHelp("The application or managed identity; else AZURE_CLIENT_ID.", valueName: "id"))
    var azureClientId: String?

    @Option(help: ArgumentHelp("The tenant's id or domain; else AZURE_TENANT_ID.", valueName: "id"))
    var azureTenant: String?

    @Option(help: ArgumentHelp("The subscription; else AZURE_SUBSCRIPTION_ID.", valueName: "id"))
    var azureSubscription: String?

    @Option(
        help: ArgumentHelp(
            "AzureCloud, AzureUSGovernment, AzureChinaCloud, or the URL of a resource manager; else CORACLE_AZURE_CLOUD.",
            valueName: "cloud"
        )
    )
    var azureCloud: String?

    @Option(
        help: ArgumentHelp(
            "The application's certificate and key, PEM or .pfx; else AZURE_CLIENT_CERTIFICATE_PATH.",
            valueName: "file"
        )
    )
    var azureCertificate: String?

    @Option(
        help: ArgumentHelp(
            "A token that stands for the application; else AZURE_FEDERATED_TOKEN_FILE.",
            valueName: "file"
        )
    )
    var azureTokenFile: String?

    var access: AzureAccess {
        get throws {
            var access = AzureAccess()
            (access.method, access.client, access.tenant) = (azure, azureClientId, azureTenant)
            (access.subscription, access.cloud) = (azureSubscription, azureCloud)
            (access.certificate, access.tokenFile) = (azureCertificate, azureTokenFile)
            return access
        }
    }

    func validate() throws {
        guard let azure, !AzureAccess.methods.contains(azure) else { return }
        throw ValidationError("--azure is one of \(AzureAccess.methods.joined(separator: ", "))")
    }
}
