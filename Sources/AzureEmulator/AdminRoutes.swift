// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// What testers ask of the emulator itself, below `/_emulator`: faults that should happen, and what there is.
///
/// `GET /_emulator` says what there is; `GET`, `POST` and `DELETE /_emulator/faults` list, plan and forget faults;
/// `DELETE /_emulator/clusters/NAME/history` lets a cluster forget what changed in it.
struct AdminRoutes: Sendable {
    let world: World

    func answer(_ request: AzureRequest) async -> AzureAnswer? {
        guard request.segments.first == "_emulator" else { return nil }
        switch (request.method, request.segments.dropFirst().joined(separator: "/")) {
        case ("GET", ""): return AzureAnswer(200, about)
        case ("GET", "faults"): return AzureAnswer(200, faults)
        case ("DELETE", "faults"):
            world.faults.clear()
            return AzureAnswer(204)
        case ("POST", "faults"):
            do {
                let body = try JSONValue(parsing: request.body)
                for json in body.array ?? [body] { world.faults.add(try AzureFault(json: json)) }
                return AzureAnswer(201, faults)
            } catch {
                return AzureAnswer(ARMFault(400, "InvalidFault", "\((error as? EmulatorError)?.message ?? "\(error)")"))
            }
        default:
            if request.method == "DELETE", let answer = forgetHistory(request.segments) { return answer }
            return AzureAnswer(ARMFault(404, "NotFound", "There is nothing at \(request.path)."))
        }
    }

    private func forgetHistory(_ segments: [String]) -> AzureAnswer? {
        guard segments.count == 4, segments[1] == "clusters", segments[3] == "history" else { return nil }
        let live = world.state.withLock { state in state.clusters.values.first { $0.cluster.name == segments[2] } }
        guard let live else { return nil }
        live.cluster.store.withLock { $0.forget(0) }
        return AzureAnswer(204)
    }

    private var about: JSONValue {
        let registries = world.state.withLock { $0.registries.values.map { ($0.name, $0.host) } }
        let clusters = world.state.withLock { state in
            state.clusters.values.map { ($0.cluster.name, $0.cluster.url.withLock { $0 }) }
        }
        return [
            "tenant": .string(world.options.tenant), "subscription": .string(world.options.subscription),
            "applications": .array(
                world.options.applications.map {
                    ["id": .string($0.id), "objectId": .string($0.objectID), "name": .string($0.name)]
                }
            ), "registries": JSONValue(Dictionary(registries) { first, _ in first }),
            "clusters": JSONValue(Dictionary(clusters) { first, _ in first }),
            "schemas": .int(Int64(world.schemas.count)),
        ]
    }

    private var faults: JSONValue {
        ["waiting": .int(Int64(world.faults.waiting.count)), "happened": .int(Int64(world.faults.happened.count))]
    }
}

extension AzureFault {
    /// Reads a fault: `{"fault": "throttled", "retryAfter": 2, "times": 1, "skipped": 0, "method": "PUT", "path": "text"}`.
    init(json: JSONValue) throws(EmulatorError) {
        let seconds = Int(json["retryAfter"]?.int ?? 1)
        let (code, message) = (json["code"]?.string ?? "Conflict", json["message"]?.string ?? "A planned fault.")
        let effect: Effect
        switch json["fault"]?.string ?? "" {
        case "throttled": effect = .throttled(retryAfter: seconds)
        case "transitioning": effect = .transitioning
        case "inaccessibleImage": effect = .inaccessibleImage
        case "quota": effect = .quota
        case "noCapacity": effect = .noCapacity
        case "registryTrouble": effect = .registryTrouble
        case "denied": effect = .denied
        case "expiredAssertion": effect = .expiredAssertion
        case "expiredToken": effect = .expiredToken
        case "signIn": effect = .signIn(number: Int(json["number"]?.int ?? 700_016), message: message)
        case "registryStatus":
            effect = .registryStatus(
                Int(json["status"]?.int ?? 401),
                code: json["code"]?.string ?? "UNAUTHORIZED",
                message: message,
                retryAfter: Int(json["retryAfter"]?.int ?? 0)
            )
        case "unregisteredProvider": effect = .unregisteredProvider
        case "failedOperation": effect = .failedOperation(code: code, message: message)
        case "lackingActions": effect = .lackingActions(json["actions"]?.texts ?? ["push"])
        case "status":
            effect = .status(
                Int(json["status"]?.int ?? 500),
                code: code,
                message: message,
                retryAfter: Int(json["retryAfter"]?.int ?? 0)
            )
        case let other:
            throw EmulatorError(
                message:
                    "there is no fault \"\(other)\": throttled, transitioning, inaccessibleImage, quota, noCapacity, "
                    + "registryTrouble, denied, signIn, expiredAssertion, expiredToken, unregisteredProvider, failedOperation, "
                    + "registryStatus, lackingActions, status"
            )
        }
        self.init(
            effect,
            times: Int(json["times"]?.int ?? 1),
            skipped: Int(json["skipped"]?.int ?? 0),
            method: json["method"]?.string,
            path: json["path"]?.string
        )
    }
}
