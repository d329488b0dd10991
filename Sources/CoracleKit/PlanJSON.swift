// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import DockerfileSyntax
internal import OCI

/// A plan as JSON; `docs/formats.md` describes the members.
struct PlanJSON {
    let plan: Plan
    let source: SourceText
    let warnings: [Diagnostic]
    private let keys: [StepKey]

    init(plan: Plan, source: SourceText, warnings: [Diagnostic]) {
        (self.plan, self.source, self.warnings, keys) = (plan, source, warnings, plan.definitionKeys())
    }

    var value: JSONValue {
        let levels = plan.levels
        return [
            "version": 1,
            "target": .string(plan.stages[plan.target].label),
            "platform": .string(plan.platform.description),
            "stages": .array(plan.stages.map(stage)),
            "steps": .array(zip(plan.steps, levels).map { step($0, level: $1) }),
            "image": plan.image.json,
            "warnings": .array(warnings.map { .object(CheckFormat.members($0, source)) }),
        ]
    }

    private func stage(_ stage: PlannedStage) -> JSONValue {
        var members: [String: JSONValue] = [
            "index": .int(Int64(stage.index)), "needed": .bool(stage.isNeeded),
            "platform": .string(stage.platform.description), "line": line(stage.range),
            "takesFilesFrom": .array(stage.sources.map { .string(plan.stages[$0].label) }),
            "steps": PlanJSON.numbers(stage.steps),
        ]
        members["name"] = stage.name.map { .string($0) }
        switch stage.base {
        case .external(let base): members["base"] = PlanJSON.base(base)
        case .stage(let index): members["base"] = ["stage": .string(plan.stages[index].label)]
        }
        return .object(members)
    }

    private func step(_ step: Step, level: Int) -> JSONValue {
        var members: [String: JSONValue] = [
            "index": .int(Int64(step.index)), "kind": .string(step.action.name), "text": .string(step.text),
            "key": .string(keys[step.index].description), "inputs": PlanJSON.numbers(step.inputs),
            "level": .int(Int64(level)), "line": line(step.range), "layer": .bool(step.makesLayer),
        ]
        members["stage"] = step.stage.map { .string(plan.stages[$0].label) }
        switch step.action {
        case .base(let base): members["base"] = PlanJSON.base(base)
        case .copy(let copy): members["copy"] = PlanJSON.copy(copy)
        case .run(let run): members["run"] = self.run(run)
        case .directory(let directory):
            members["directory"] = ["path": .string(directory.path), "owner": .string(directory.owner)]
        case .config: break
        }
        return .object(members)
    }

    private func line(_ range: SourceRange) -> JSONValue {
        .int(Int64(source.line(at: range.start)))
    }

    private static func numbers(_ numbers: [Int]) -> JSONValue {
        .array(numbers.map { .int(Int64($0)) })
    }

    private static func base(_ base: BaseAction) -> JSONValue {
        var members: [String: JSONValue] = ["platform": .string(base.platform.description)]
        members["osVersion"] = base.platform.osVersion.map { .string($0) }
        switch base.origin {
        case .scratch: members["scratch"] = true
        case .image(let reference): members["image"] = .string(reference.description)
        case .namedContext(let name): members["context"] = .string(name)
        }
        return .object(members)
    }

    private static func copy(_ copy: CopyAction) -> JSONValue {
        var members: [String: JSONValue] = [
            "sources": .array(copy.sources.map(source)), "destination": .string(copy.destination),
            "excludes": JSONValue(copy.excludes), "parents": .bool(copy.keepsParents), "link": .bool(copy.isLink),
            "add": .bool(copy.isAdd), "keepGitDir": .bool(copy.keepsGitDirectory),
        ]
        switch copy.origin {
        case .context: members["from"] = "context"
        case .namedContext(let name): members["from"] = .string(name)
        case .step(let step): members["from"] = .int(Int64(step))
        }
        members["owner"] = copy.owner.map { .string($0) }
        members["mode"] = copy.mode.map { .string($0.text) }
        members["checksum"] = copy.checksum.map { .string($0) }
        members["unpack"] = copy.unpacks.map { .bool($0) }
        return .object(members)
    }

    private static func source(_ source: CopyAction.Source) -> JSONValue {
        switch source {
        case .path(let path): ["path": .string(path)]
        case .inline(let name, let content): ["inline": .string(name), "content": .string(content)]
        case .url(let url): ["url": .string(RemoteLogin.masked(url))]
        case .git(let git): PlanJSON.git(git)
        }
    }

    private static func git(_ git: GitSource) -> JSONValue {
        var members: [String: JSONValue] = [
            "git": .string(git.remote), "ref": .string(git.ref), "subfolder": .string(git.subfolder),
            "submodules": .bool(!git.skipsSubmodules), "fetchByCommit": .bool(git.fetchesByCommit),
        ]
        members["checksum"] = git.commit.map { .string($0) }
        members["keepGitDir"] = git.keepsGitDirectory.map { .bool($0) }
        return .object(members)
    }

    private func run(_ run: RunAction) -> JSONValue {
        var members: [String: JSONValue] = [
            "arguments": JSONValue(run.arguments), "environment": JSONValue(plan.environment(of: run)),
            "directory": .string(run.workingDirectory), "user": .string(run.user), "network": .string(run.network),
            "security": .string(run.security), "mounts": .array(run.mounts.map(PlanJSON.mount)),
            "devices": JSONValue(run.devices.map(\.name)),
            "requiredDevices": JSONValue(run.devices.filter(\.isRequired).map(\.name)),
            "proxies": JSONValue(run.proxies),
        ]
        members["script"] = run.script.map { ["name": .string($0.name), "content": .string($0.content)] }
        return .object(members)
    }

    private static func mount(_ mount: RunMount) -> JSONValue {
        var members: [String: JSONValue] = [
            "type": .string(mount.mount.kind.rawValue), "target": .string(mount.target),
            "source": .string(mount.mount.source), "readonly": .bool(mount.mount.isReadOnly), "id": .string(mount.id),
            "required": .bool(mount.mount.isRequired),
        ]
        switch mount.origin {
        case .none: break
        case .context: members["from"] = "context"
        case .namedContext(let name): members["from"] = .string(name)
        case .step(let step): members["from"] = .int(Int64(step))
        }
        members["sharing"] = mount.mount.sharing.map { .string($0.rawValue) }
        if mount.mount.kind == .tmpfs { members["size"] = .int(mount.mount.sizeLimit) }
        members["mode"] = mount.mount.mode.map { .string(String($0, radix: 8)) }
        members["uid"] = mount.mount.uid.map { .int(Int64($0)) }
        members["gid"] = mount.mount.gid.map { .int(Int64($0)) }
        members["env"] = mount.mount.environmentName.map { .string($0) }
        return .object(members)
    }
}
