// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Deployments of templates.
struct Deployments: Sendable {
    let world: World

    func answer(_ call: ResourceManager.Call) async throws -> AzureAnswer {
        throw ARMFault(501, "NotImplemented", "Deployments are not there yet.")
    }
}
