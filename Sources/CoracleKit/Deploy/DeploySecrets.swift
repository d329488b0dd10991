// SPDX-License-Identifier: Apache-2.0
internal import Azure

/// Finds what ARM keeps to itself: where it was said to be, else by asking somebody.
struct DeploySecrets: Sendable {
    let options: DeployOptions
    let environment: [String: String]
    let pulls: PullCredentials
    let ask: (@Sendable (String) -> String?)?

    func find(_ places: [SecretPlace]) async throws -> [SecretPlace.Kind: SecureText] {
        var found: [SecretPlace.Kind: SecureText] = [:]
        for place in places {
            if let secret = try await find(place) {
                found[place.kind] = secret
            } else if case .file(_, nil) = place.kind {
                // Not even the names of its files are known.
                continue
            } else if let secret = ask?("Azure keeps \(place.text) to itself. Again, please: "), !secret.isEmpty {
                found[place.kind] = SecureText(secret)
            }
        }
        return found
    }

    private func find(_ place: SecretPlace) async throws -> SecureText? {
        if case .registryPassword(let server, let user) = place.kind {
            return try await pulls.password(of: user, server)
        }
        for text in options.secretSources {
            let (name, source) = PlanSettings.split(text)
            guard name == place.key else { continue }
            guard let source else { throw ExitReason(.usage, "--secret-source \"\(text)\" is not NAME=env:VARIABLE") }
            return try SecretSource.text(source, for: "--secret-source \(name)", environment)
        }
        return nil
    }
}
