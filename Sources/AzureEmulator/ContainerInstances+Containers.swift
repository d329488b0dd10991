// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What can be asked of one container: its logs, a command beside it, its output as it comes.
extension ContainerInstances {
    private func container(_ group: RunningGroup, _ call: ResourceManager.Call) throws(ARMFault) -> String {
        let name = call.path.parts[3]
        let all = group.containers() + group.containers("initContainers")
        guard let found = all.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw ARMFault(
                404,
                "ContainerNotFound",
                "The container '\(name)' in container group '\(group.name)' was not found."
            )
        }
        return found.name
    }

    func logs(_ group: RunningGroup, _ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        let name = try container(group, call)
        var tail: Int?
        if let text = call.request.query("tail") {
            guard let number = Int(text), number >= 0 else {
                throw ARMFault(400, "InvalidTail", "The tail '\(text)' is no number of lines.")
            }
            tail = number
        }
        let withTimes = call.request.query("timestamps")?.lowercased() == "true"
        let text = group.output(name).text(tail: tail, withTimes: withTimes)
        return AzureAnswer(200, ["content": .string(text)])
    }

    func exec(_ group: RunningGroup, _ call: ResourceManager.Call) throws -> AzureAnswer {
        let name = try container(group, call)
        let body = try call.body()
        guard let command = body.member("command")?.string, !command.isEmpty else {
            throw ARMFault(400, "InvalidCommand", "The command to run in container '\(name)' is missing.")
        }
        let size = body.member("terminalSize")
        let rows = UInt16(truncatingIfNeeded: size?.member("rows")?.int ?? 24)
        let columns = UInt16(truncatingIfNeeded: size?.member("cols")?.int ?? 80)
        let exec = ContainerExec(group: group, container: name)
        _ = try exec.process()
        let session = world.bridge.add(.exec(exec, command: command, rows: rows, columns: columns))
        return AzureAnswer(200, session)
    }

    func attach(_ group: RunningGroup, _ call: ResourceManager.Call) throws -> AzureAnswer {
        let name = try container(group, call)
        _ = try ContainerExec(group: group, container: name).process()
        return AzureAnswer(200, world.bridge.add(.attach(group.output(name))))
    }
}
