// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer
internal import Synchronization

/// Finds the images of pods, with their pull secrets or with the rights of the kubelet's identity.
struct PodImages {
    let run: PodRun

    /// Why there is no image, in the words of containerd.
    struct Refusal: Error {
        let message: String
    }

    func find(_ text: String) throws(Refusal) -> GroupImage {
        let world = run.cluster.world
        let name = ImageName(text)
        let planned = world.faults.take("PULL", text) { effect -> Refusal? in
            switch effect {
            case .inaccessibleImage: notFound(text, name)
            case .registryTrouble:
                Refusal(
                    message: "failed to pull and unpack image \"\(text)\": unexpected status: 503 Service Unavailable"
                )
            default: nil
            }
        }
        if let planned { throw planned }
        let registry = world.state.withLock { state in
            state.registries.values.first { $0.host.lowercased() == name.server }
        }
        let source = ImageSource(world: world, takesAttestations: true)
        guard let registry else { return try find(text, name, source, [:]) }
        for credential in credentials(name.server) where registry.mayPull(name.repository, credential, world) {
            let body: JSONValue = ["properties": ["imageRegistryCredentials": credential.map { [$0] } ?? []]]
            return try find(text, name, source, body)
        }
        throw Refusal(
            message: "failed to pull and unpack image \"\(text)\": failed to resolve reference \"\(text)\": failed to "
                + "authorize: failed to fetch anonymous token: unexpected status from GET request to "
                + "https://\(name.server)/oauth2/token?scope=repository%3A\(name.repository)%3Apull&service="
                + "\(name.server): 401 Unauthorized"
        )
    }

    private func find(_ text: String, _ name: ImageName, _ source: ImageSource, _ body: JSONValue) throws(Refusal)
        -> GroupImage
    {
        do {
            return try source.find(text, for: run.key.name, body: body)
        } catch {
            guard error.code == "ImageOsTypeNotMatchContainerGroup" else { throw notFound(text, name) }
            throw Refusal(
                message: "failed to pull and unpack image \"\(text)\": no match for platform in manifest: not found"
            )
        }
    }

    private func notFound(_ text: String, _ name: ImageName) -> Refusal {
        Refusal(
            message: "rpc error: code = NotFound desc = failed to pull and unpack image \"\(text)\": failed to resolve "
                + "reference \"\(text)\": \(text): not found"
        )
    }

    /// What to try, in order: the secrets of the pod and of its account, the kubelet's identity, nothing.
    private func credentials(_ server: String) -> [JSONValue?] {
        var found: [JSONValue?] = []
        let account = run.spec.text("serviceAccountName")
        let names = run.cluster.store.withLock { store -> [String] in
            let own = run.spec["imagePullSecrets"]?.array ?? []
            let key = ObjectKey(run.namespace, account.isEmpty ? "default" : account)
            let more = store.get(.serviceAccounts, key)?["imagePullSecrets"]?.array ?? []
            return (own + more).map { $0.text("name") }
        }
        for name in names {
            let secret = run.cluster.store.withLock { $0.get(.secrets, ObjectKey(run.namespace, name)) }
            guard let secret else {
                run.event(
                    "FailedToRetrieveImagePullSecret",
                    "Unable to retrieve some image pull secrets (\(name)); attempting to pull the image may not succeed.",
                    isWarning: true
                )
                continue
            }
            found += Self.credentials(secret, server)
        }
        let identity: JSONValue = ["server": .string(server), "identity": .string(run.cluster.kubeletIdentity)]
        return found + [identity, JSONValue?.none]
    }

    /// The user and password of a secret for a server.
    private static func credentials(_ secret: JSONValue, _ server: String) -> [JSONValue?] {
        let text = secret.text("data", ".dockerconfigjson")
        guard let bytes = Base64.decode(text), let config = try? JSONValue(parsing: bytes) else { return [] }
        var found: [JSONValue?] = []
        for (host, entry) in config["auths"]?.object ?? [:] {
            var plain = host[...]
            if let scheme = plain.ranges(of: "://").first { plain = plain[scheme.upperBound...] }
            guard plain.prefix(while: { $0 != "/" }).lowercased() == server else { continue }
            var (user, password) = (entry.text("username"), entry.text("password"))
            if user.isEmpty, let both = Base64.decode(entry.text("auth")) {
                let parts = String(decoding: both, as: UTF8.self).split(separator: ":", maxSplits: 1)
                if parts.count == 2 { (user, password) = (String(parts[0]), String(parts[1])) }
            }
            found.append(["server": .string(server), "username": .string(user), "password": .string(password)])
        }
        return found
    }
}

extension ImageName {
    /// Without tag and digest.
    var plain: String { "\(server)/\(repository)" }
}
