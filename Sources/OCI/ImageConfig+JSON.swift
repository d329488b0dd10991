// SPDX-License-Identifier: Apache-2.0

extension ImageConfig {
    /// The configuration in the form of the specification; `rootfs` and times are not in it.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "architecture": .string(platform.architecture), "os": .string(platform.os), "config": container,
            "history": .array(history.map(\.json)),
        ]
        members["variant"] = platform.variant.map { .string($0) }
        members["os.version"] = platform.osVersion.map { .string($0) }
        members["author"] = author.map { .string($0) }
        return .object(members)
    }

    /// The whole document, layers and time included: the bytes of an image's configuration blob.
    public var document: [UInt8] {
        guard case .object(var members) = json else { return [] }
        members["rootfs"] = ["type": "layers", "diff_ids": .array(diffIDs.map { .string($0.description) })]
        members["created"] = created.map { .string($0) }
        return Array(JSONValue.object(members).canonical.utf8)
    }

    private var container: JSONValue {
        var members: [String: JSONValue] = [:]
        if !user.isEmpty { members["User"] = .string(user) }
        if !exposedPorts.isEmpty { members["ExposedPorts"] = ImageConfig.set(exposedPorts) }
        if !environment.isEmpty { members["Env"] = JSONValue(environment) }
        members["Entrypoint"] = entrypoint.map { JSONValue($0) }
        members["Cmd"] = command.map { JSONValue($0) }
        if !volumes.isEmpty { members["Volumes"] = ImageConfig.set(volumes) }
        if !workingDirectory.isEmpty { members["WorkingDir"] = .string(workingDirectory) }
        if !labels.isEmpty { members["Labels"] = .object(labels.mapValues { .string($0) }) }
        if !stopSignal.isEmpty { members["StopSignal"] = .string(stopSignal) }
        if !shell.isEmpty { members["Shell"] = JSONValue(shell) }
        members["Healthcheck"] = healthcheck?.json
        if !onBuild.isEmpty { members["OnBuild"] = JSONValue(onBuild) }
        if isArgsEscaped { members["ArgsEscaped"] = true }
        return .object(members)
    }

    private static func set(_ names: Set<String>) -> JSONValue {
        .object(Dictionary(uniqueKeysWithValues: names.map { ($0, JSONValue.object([:])) }))
    }
}

extension ImageConfig.History {
    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = ["created_by": .string(createdBy)]
        if !comment.isEmpty { members["comment"] = .string(comment) }
        if isEmptyLayer { members["empty_layer"] = true }
        members["created"] = created.map { .string($0) }
        members["author"] = author.map { .string($0) }
        return .object(members)
    }
}

extension ImageConfig.Healthcheck {
    fileprivate var json: JSONValue {
        var members: [String: JSONValue] = ["Test": JSONValue(test)]
        for (name, time) in [
            ("Interval", interval), ("Timeout", timeout), ("StartPeriod", startPeriod),
            ("StartInterval", startInterval),
        ] where time != 0 {
            members[name] = .int(time)
        }
        if retries != 0 { members["Retries"] = .int(Int64(retries)) }
        return .object(members)
    }
}
