// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Foundation

/// Our tree in the form in which the recorded cases hold BuildKit's: values of JSON, empty members left out.
enum BuildKitView {
    /// The arguments of an instruction as BuildKit's parser cuts them; `nil` where ours found a fault in it.
    static func arguments(_ instruction: Instruction) -> [Any]? {
        switch instruction.content {
        case .from(let from): return [from.image, from.asKeyword, from.name].compactMap { $0?.text }
        case .run(let run): return words(run.command)
        case .cmd(let command), .entrypoint(let command): return words(command)
        case .shell(let shell): return shell.map(\.text)
        case .copy(let transfer), .add(let transfer): return transfer.words.map(\.text)
        case .env(let pairs), .label(let pairs):
            return pairs.flatMap { [$0.key.text, $0.value.text, $0.isLegacy ? "" : "="] }
        case .arg(let declarations): return declarations.map(text)
        case .expose(let ports): return ports.map(\.text)
        case .user(let word), .workdir(let word), .stopsignal(let word), .maintainer(let word): return [word.text]
        case .volume(let volumes): return volumes.map(\.text)
        case .healthcheck(let check): return check.command.map { ["CMD"] + words($0) } ?? ["NONE"]
        case .onbuild, .invalid: return nil
        }
    }

    static func words(_ command: CommandForm) -> [String] {
        switch command {
        case .shell(let word): word.text.isEmpty ? [] : [word.text]
        case .exec(let words): words.map(\.text)
        }
    }

    private static func text(_ declaration: ArgumentDeclaration) -> String {
        declaration.value.map { "\(declaration.name.text)=\($0.text)" } ?? declaration.name.text
    }

    /// The fields of BuildKit's command structures.
    static func fields(_ instruction: Instruction) -> [String: Any]? {
        switch instruction.content {
        case .run(let run):
            return command(run.command, instruction)
                .merging(["FlagsUsed": Array(Set(instruction.flags.map(\.name)))]) {
                    $1
                }
        case .cmd(let form), .entrypoint(let form): return command(form, instruction)
        case .shell(let words): return ["Shell": words.map(\.text)]
        case .copy(let transfer), .add(let transfer): return fields(transfer, instruction.heredocs)
        case .env(let pairs): return ["Env": pairs.map(pair)]
        case .label(let pairs): return ["Labels": pairs.map(pair)]
        case .arg(let declarations): return ["Args": declarations.map { argument($0, instruction) }]
        case .expose(let ports):
            return ["Ports": ports.map(\.text).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }]
        case .user(let word): return ["User": word.text]
        case .workdir(let word): return ["Path": word.text]
        case .stopsignal(let word): return ["Signal": word.text]
        case .maintainer(let word): return ["Maintainer": word.text]
        case .volume(let words): return ["Volumes": words.map(\.text)]
        case .healthcheck(let check): return ["Health": health(check)]
        case .onbuild(_, let text): return ["Expression": text]
        case .from, .invalid: return nil
        }
    }

    private static func command(_ form: CommandForm, _ instruction: Instruction) -> [String: Any] {
        var isShell = true
        if case .exec = form { isShell = false }
        let files = instruction.heredocs.map {
            ["Name": $0.name, "Data": $0.content, "Chomp": $0.stripsTabs] as [String: Any]
        }
        return ["CmdLine": words(form), "PrependShell": isShell, "Files": files]
    }

    private static func fields(_ transfer: TransferContent, _ heredocs: [Heredoc]) -> [String: Any] {
        var paths: [String] = []
        var contents: [[String: Any]] = []
        for source in transfer.sources {
            switch source {
            case .path(let word): paths.append(word.text)
            case .heredoc(let index, _):
                let heredoc = heredocs[index]
                contents.append(["Data": heredoc.text, "Expand": heredoc.expands, "Path": heredoc.name])
            }
        }
        var fields: [String: Any] = [
            "SourcePaths": paths, "SourceContents": contents, "DestPath": transfer.destination.text,
            "Link": transfer.isLink, "Parents": transfer.keepsParents,
            "ExcludePatterns": transfer.excludes.map(\.text),
        ]
        fields["From"] = transfer.from?.text
        fields["Chown"] = transfer.chown?.text
        fields["Chmod"] = transfer.chmod?.text
        fields["Checksum"] = transfer.checksum?.text
        fields["KeepGitDir"] = transfer.keepsGitDirectory
        fields["Unpack"] = transfer.unpacks
        return fields
    }

    private static func pair(_ pair: KeyValue) -> [String: Any] {
        ["Key": pair.key.text, "Value": pair.value.text, "NoDelim": pair.isLegacy]
    }

    private static func argument(_ declaration: ArgumentDeclaration, _ instruction: Instruction) -> [String: Any] {
        var fields: [String: Any] = ["Key": declaration.name.text]
        fields["DocComment"] = instruction.documentation(of: declaration.name.text)
        fields["Value"] = declaration.value?.text
        return fields
    }

    private static func health(_ check: HealthcheckContent) -> [String: Any] {
        guard let command = check.command else { return ["Test": ["NONE"]] }
        var test = ["CMD-SHELL"]
        if case .exec = command { test = ["CMD"] }
        return [
            "Test": test + words(command), "Interval": Int(check.interval), "Timeout": Int(check.timeout),
            "StartPeriod": Int(check.startPeriod), "StartInterval": Int(check.startInterval),
            "Retries": check.retries,
        ]
    }

    static func mount(_ mount: Mount) -> [String: Any] {
        var fields: [String: Any] = [
            "Type": mount.kind.rawValue, "From": mount.from, "Source": mount.source, "Target": mount.target,
            "ReadOnly": mount.isReadOnly, "SizeLimit": Int(mount.sizeLimit), "CacheID": mount.id,
            "Required": mount.isRequired, "CacheSharing": mount.sharing?.rawValue ?? "",
        ]
        fields["Env"] = mount.environmentName
        fields["Mode"] = mount.mode.map { Int($0) }
        fields["UID"] = mount.uid.map { Int($0) }
        fields["GID"] = mount.gid.map { Int($0) }
        return fields
    }
}

extension TransferContent {
    /// Sources and destination in the order they were written.
    var words: [Word] {
        sources.map { source in
            switch source {
            case .path(let word), .heredoc(_, let word): word
            }
        } + [destination]
    }
}

/// Values of JSON compared without empty members, as Go leaves them out or not by the tags of its structures.
enum Plain {
    /// A canonical text of a value; equal texts mean equal values.
    static func text(_ value: Any?) -> String {
        guard let value = reduced(value),
            let data = try? JSONSerialization.data(
                withJSONObject: value,
                options: [.sortedKeys, .fragmentsAllowed, .withoutEscapingSlashes]
            )
        else { return "null" }
        return String(decoding: data, as: UTF8.self)
    }

    private static func reduced(_ value: Any?) -> Any? {
        switch value {
        case let object as [String: Any]:
            let members = object.compactMapValues { reduced($0) }
            return members.isEmpty ? nil : members
        case let array as [Any]:
            return array.isEmpty ? nil : array.map { reduced($0) ?? NSNull() }
        case let text as String: return text.isEmpty ? nil : text
        case let flag as Bool where flag == false: return nil
        case let number as Int where number == 0: return nil
        case is NSNull, nil: return nil
        default: return value
        }
    }
}
