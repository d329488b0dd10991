// SPDX-License-Identifier: Apache-2.0

extension Instruction {
    /// What an instruction says, one case per kind.
    public indirect enum Content: Sendable {
        /// FROM.
        case from(FromContent)
        /// RUN.
        case run(RunContent)
        /// CMD.
        case cmd(CommandForm)
        /// ENTRYPOINT.
        case entrypoint(CommandForm)
        /// SHELL: the words of its JSON array, at least one.
        case shell([Word])
        /// COPY.
        case copy(TransferContent)
        /// ADD.
        case add(TransferContent)
        /// ENV: at least one.
        case env([KeyValue])
        /// LABEL: at least one.
        case label([KeyValue])
        /// ARG: at least one.
        case arg([ArgumentDeclaration])
        /// EXPOSE: at least one, unexpanded.
        case expose([Word])
        /// USER.
        case user(Word)
        /// WORKDIR.
        case workdir(Word)
        /// VOLUME: at least one, none empty.
        case volume([Word])
        /// STOPSIGNAL.
        case stopsignal(Word)
        /// HEALTHCHECK.
        case healthcheck(HealthcheckContent)
        /// MAINTAINER.
        case maintainer(Word)
        /// ONBUILD: the instruction to run later, ``invalid`` where it has a fault, and its text with heredocs.
        case onbuild(trigger: Instruction, text: String)
        /// An instruction with a fault; a diagnostic says which.
        case invalid
    }
}

/// FROM [--platform=P] IMAGE [AS NAME].
public struct FromContent: Sendable {
    /// The image or stage, unexpanded.
    public let image: Word
    /// The word `AS` as written.
    public let asKeyword: Word?
    /// The stage's name as written; ``Stage/name`` has it in lower case.
    public let name: Word?
    /// The value of `--platform`, unexpanded.
    public let platform: Word?
}

/// A command in shell form (`a && b`) or exec form (`["a", "b"]`).
public enum CommandForm: Sendable {
    /// A text for the shell; empty where nothing was written.
    case shell(Word)
    /// The words of a JSON array, unescaped; may be empty.
    case exec([Word])
}

/// RUN with its flags.
public struct RunContent: Sendable {
    /// The command; heredocs belong to ``Instruction/heredocs``.
    public let command: CommandForm
    /// The values of `--mount`, in order; read with ``Mount/init(_:expanding:)``.
    public let mounts: [Word]
    /// The value of `--network`: `default`, `none` or `host`.
    public let network: String
    /// The value of `--security`: `sandbox` or `insecure`.
    public let security: String
    /// The devices asked for by `--device`, in order.
    public let devices: [Device]

    /// The stages, images and named contexts that its mounts take files from; each at the place of its flag.
    public var mountSources: [Word] {
        mounts.flatMap { mount in
            (CSVFields.read(mount.text) ?? []).filter { $0.lowercased().hasPrefix("from=") && $0.utf8.count > 5 }
                .map { Word(String($0.dropFirst(5)), at: mount.range) }
        }
    }

    /// A device of `RUN --device`.
    public struct Device: Hashable, Sendable {
        /// The CDI name or class.
        public let name: String
        /// Whether the step fails where there is none.
        public let isRequired: Bool
    }
}

/// COPY and ADD: sources, destination and flags, unexpanded.
public struct TransferContent: Sendable {
    /// A source.
    public enum Source: Hashable, Sendable {
        /// A path, a pattern, or for ADD a URL.
        case path(Word)
        /// The content of a heredoc: its index in ``Instruction/heredocs``, and the word `<<NAME`.
        case heredoc(Int, Word)
    }

    /// At least one, in order.
    public let sources: [Source]
    /// The last argument.
    public let destination: Word
    /// `--from`: a stage, an image, or a named context (COPY).
    public let from: Word?
    /// `--chown`.
    public let chown: Word?
    /// `--chmod`, octal or symbolic.
    public let chmod: Word?
    /// `--link`.
    public let isLink: Bool
    /// `--parents` (COPY).
    public let keepsParents: Bool
    /// `--exclude`, in order.
    public let excludes: [Word]
    /// `--checksum` (ADD).
    public let checksum: Word?
    /// `--keep-git-dir` (ADD); `nil` where not given.
    public let keepsGitDirectory: Bool?
    /// `--unpack` (ADD); `nil` where not given.
    public let unpacks: Bool?
}

/// A pair of ENV or LABEL, unexpanded.
public struct KeyValue: Hashable, Sendable {
    /// What stands before `=`, or the first word of the old form.
    public let key: Word
    /// What follows.
    public let value: Word
    /// Whether the old form `KEY value` was used.
    public let isLegacy: Bool
}

/// A name of ARG, unexpanded.
public struct ArgumentDeclaration: Hashable, Sendable {
    /// The name.
    public let name: Word
    /// The default; `nil` without `=`.
    public let value: Word?
}

/// HEALTHCHECK; times in nanoseconds, 0 where not given.
public struct HealthcheckContent: Sendable {
    /// The command; `nil` for NONE.
    public let command: CommandForm?
    /// `--interval`.
    public let interval: Int64
    /// `--timeout`.
    public let timeout: Int64
    /// `--start-period`.
    public let startPeriod: Int64
    /// `--start-interval`.
    public let startInterval: Int64
    /// `--retries`; 0 where not given.
    public let retries: Int
}
