// SPDX-License-Identifier: Apache-2.0

/// A lint rule: a place in a Dockerfile that builds, and is probably not what was meant.
///
/// The first 21 carry the names and meanings of the Dockerfile reference (`docker build --check`), so that
/// `# check=skip=NAME` means the same to both tools; the rest are Coracle's own.
public struct LintRule: Hashable, Sendable, CustomStringConvertible {
    /// The name used by `# check=skip=` and `--skip`.
    public let name: String
    /// What the rule asks for: one sentence.
    public let summary: String
    /// The page that explains it; absent for rules of our own, which `docs/lint.md` explains.
    public let url: String?
    /// Whether it runs without being asked for by `# check=experimental=NAME` or `--enable NAME`.
    public let isDefault: Bool

    /// The rule's name.
    public var description: String { name }

    private init(_ name: String, _ summary: String, page: String? = nil, isDefault: Bool = true) {
        self.name = name
        self.summary = summary
        url = page.map { "https://docs.docker.com/go/dockerfile/rule/\($0)/" }
        self.isDefault = isDefault
    }

    /// Finds a rule by its name.
    ///
    /// - Parameter name: The name as the reference writes it; case counts.
    /// - Returns: The rule, or `nil` where there is none of that name.
    public static func named(_ name: some StringProtocol) -> LintRule? {
        all.first { $0.name == name }
    }
}

extension LintRule {
    /// Stage names should be lowercase.
    public static let stageNameCasing = LintRule(
        "StageNameCasing",
        "Stage names should be lowercase",
        page: "stage-name-casing"
    )
    /// The 'as' keyword should match the case of the 'from' keyword.
    public static let fromAsCasing = LintRule(
        "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
        page: "from-as-casing"
    )
    /// Empty continuation lines will become errors in a future release.
    public static let noEmptyContinuation = LintRule(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
        page: "no-empty-continuation"
    )
    /// All commands within the Dockerfile should use the same casing (either upper or lower).
    public static let consistentInstructionCasing = LintRule(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        page: "consistent-instruction-casing"
    )
    /// Stage names should be unique.
    public static let duplicateStageName = LintRule(
        "DuplicateStageName",
        "Stage names should be unique",
        page: "duplicate-stage-name"
    )
    /// Reserved words should not be used as stage names.
    public static let reservedStageName = LintRule(
        "ReservedStageName",
        "Reserved words should not be used as stage names",
        page: "reserved-stage-name"
    )
    /// JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals.
    public static let jsonArgsRecommended = LintRule(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        page: "json-args-recommended"
    )
    /// The MAINTAINER instruction is deprecated, use a label instead to define an image author.
    public static let maintainerDeprecated = LintRule(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        page: "maintainer-deprecated"
    )
    /// FROM command must use declared ARGs.
    public static let undefinedArgInFrom = LintRule(
        "UndefinedArgInFrom",
        "FROM command must use declared ARGs",
        page: "undefined-arg-in-from"
    )
    /// Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes.
    public static let workdirRelativePath = LintRule(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
        page: "workdir-relative-path"
    )
    /// Variables should be defined before their use.
    public static let undefinedVar = LintRule(
        "UndefinedVar",
        "Variables should be defined before their use",
        page: "undefined-var"
    )
    /// Multiple instructions of the same type should not be used in the same stage.
    public static let multipleInstructionsDisallowed = LintRule(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        page: "multiple-instructions-disallowed"
    )
    /// Legacy key/value format with whitespace separator should not be used.
    public static let legacyKeyValueFormat = LintRule(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        page: "legacy-key-value-format"
    )
    /// Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior.
    public static let redundantTargetPlatform = LintRule(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        page: "redundant-target-platform"
    )
    /// Sensitive data should not be used in the ARG or ENV commands.
    public static let secretsUsedInArgOrEnv = LintRule(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
        page: "secrets-used-in-arg-or-env"
    )
    /// Default value for global ARG results in an empty or invalid base image name.
    public static let invalidDefaultArgInFrom = LintRule(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        page: "invalid-default-arg-in-from"
    )
    /// FROM --platform flag should not use a constant value.
    public static let fromPlatformFlagConstDisallowed = LintRule(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        page: "from-platform-flag-const-disallowed"
    )
    /// Attempting to Copy file that is excluded by .dockerignore.
    public static let copyIgnoredFile = LintRule(
        "CopyIgnoredFile",
        "Attempting to Copy file that is excluded by .dockerignore",
        page: "copy-ignored-file"
    )
    /// Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`.
    public static let invalidDefinitionDescription = LintRule(
        "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`",
        page: "invalid-definition-description", isDefault: false
    )
    /// Protocol in EXPOSE instruction should be lowercase.
    public static let exposeProtoCasing = LintRule(
        "ExposeProtoCasing",
        "Protocol in EXPOSE instruction should be lowercase",
        page: "expose-proto-casing"
    )
    /// IP address and host-port mapping should not be used in EXPOSE instruction.
    public static let exposeInvalidFormat = LintRule(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction",
        page: "expose-invalid-format"
    )
    /// A build argument that looks like a secret is used in RUN and stays in the image history; use RUN --mount=type=secret.
    public static let secretArgUsedInRun = LintRule(
        "SecretArgUsedInRun",
        "A build argument that looks like a secret is used in RUN and stays in the image history; use RUN --mount=type=secret"
    )
    /// apt-get update in a RUN of its own is cached and leaves later installs with an old package list.
    public static let aptGetUpdateAlone = LintRule(
        "AptGetUpdateAlone",
        "apt-get update in a RUN of its own is cached and leaves later installs with an old package list"
    )
    /// A base image without a digest, or with the tag latest, can change between two builds.
    public static let unpinnedBaseImage = LintRule(
        "UnpinnedBaseImage",
        "A base image without a digest, or with the tag latest, can change between two builds",
        isDefault: false
    )

    /// Every rule: those of the reference first, then our own.
    public static let all: [LintRule] = [
        .stageNameCasing,
        .fromAsCasing,
        .noEmptyContinuation,
        .consistentInstructionCasing,
        .duplicateStageName,
        .reservedStageName,
        .jsonArgsRecommended,
        .maintainerDeprecated,
        .undefinedArgInFrom,
        .workdirRelativePath,
        .undefinedVar,
        .multipleInstructionsDisallowed,
        .legacyKeyValueFormat,
        .redundantTargetPlatform,
        .secretsUsedInArgOrEnv,
        .invalidDefaultArgInFrom,
        .fromPlatformFlagConstDisallowed,
        .copyIgnoredFile,
        .invalidDefinitionDescription,
        .exposeProtoCasing,
        .exposeInvalidFormat,
        .secretArgUsedInRun,
        .aptGetUpdateAlone,
        .unpinnedBaseImage,
    ]
}
