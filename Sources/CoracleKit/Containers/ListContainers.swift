// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle ps`: the containers that `coracle run` started on this machine.
public struct ListContainers: Sendable {
    private let workspace: Workspace

    /// Lists the containers of a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Which containers are listed.
    public enum Choice: Sendable {
        /// Those that run.
        case running
        /// Also those that have ended, as far as something is kept of them.
        case all
    }

    /// Lists the containers.
    ///
    /// - Parameters:
    ///   - choice: Which of them.
    ///   - format: For whom.
    /// - Returns: A line for each container, the oldest first, or JSON.
    /// - Throws: ``ExitReason`` where the store cannot be read.
    public func run(_ choice: Choice, _ format: OutputFormat) throws(ExitReason) -> String {
        List(containers: try found(choice)).formatted(format)
    }

    /// Lists nothing but the names.
    ///
    /// - Parameter choice: Which of them.
    /// - Returns: A name in each line, that of the oldest first.
    /// - Throws: ``ExitReason`` where the store cannot be read.
    public func names(_ choice: Choice) throws(ExitReason) -> String {
        try found(choice).map { $0.config.name + "\n" }.joined()
    }

    /// The list for programs: an object that has room for other lists.
    func document(_ choice: Choice) throws(ExitReason) -> JSONValue { List(containers: try found(choice)).json }

    private func found(_ choice: Choice) throws(ExitReason) -> [ContainerFolder.Found] {
        guard let store = try workspace.storeIfAny() else { return [] }
        return ContainerFolder.list(in: store)
            .filter { choice == .all || [.starting, .running].contains($0.status) }
    }

    private struct List: Writable {
        let containers: [ContainerFolder.Found]

        var text: String {
            let head = ["ID", "NAME", "IMAGE", "COMMAND", "STATUS", "PORTS"]
            let lines = containers.map { found in
                [
                    found.config.id, found.config.name, found.config.image, List.shortened(found.config.command),
                    List.status(found), found.config.ports.isEmpty ? "-" : found.config.ports.joined(separator: ","),
                ]
            }
            return TextTable.write([head] + lines)
        }

        private static func shortened(_ command: [String]) -> String {
            let text = command.joined(separator: " ")
            return text.count > 30 ? text.prefix(29) + "…" : text
        }

        private static func status(_ found: ContainerFolder.Found) -> String {
            switch found.status {
            case .starting: return "starting"
            case .running: return "running for \(Moment.length(Moment.now - found.state.started))"
            case .killed: return "ended: its keeper was killed"
            case .exited:
                let fault = found.state.fault.map { "; \($0)" } ?? ""
                return "exited (\(found.state.code ?? 0)) \(Moment.length(Moment.now - found.state.ended)) ago\(fault)"
            }
        }

        var json: JSONValue { ["version": 1, "containers": .array(containers.map { List.json($0) })] }

        private static func json(_ found: ContainerFolder.Found) -> JSONValue {
            let (config, state) = (found.config, found.state)
            var members: [String: JSONValue] = [
                "id": .string(config.id), "name": .string(config.name), "image": .string(config.image),
                "command": JSONValue(config.command), "ports": JSONValue(config.ports),
                "detached": .bool(config.isDetached), "status": .string(found.status.rawValue),
                "created": .string(Moment.text(config.created)),
            ]
            members["digest"] = config.digest.map { .string($0) }
            if state.started > 0 { members["started"] = .string(Moment.text(state.started)) }
            if state.ended > 0 { members["ended"] = .string(Moment.text(state.ended)) }
            if found.status == .running { members["process"] = .int(Int64(state.process)) }
            members["code"] = state.code.map { .int(Int64($0)) }
            members["fault"] = state.fault.map { .string($0) }
            return .object(members)
        }
    }
}
