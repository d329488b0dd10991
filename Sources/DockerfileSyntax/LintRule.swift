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
    /// A stage's name is written in lower case.
    public static let stageNameCasing = LintRule(
        "StageNameCasing",
        "A stage's name is written in lower case",
        page: "stage-name-casing"
    )
    /// FROM and AS are written in the same case.
    public static let fromAsCasing = LintRule(
        "FromAsCasing",
        "FROM and AS are written in the same case",
        page: "from-as-casing"
    )
    /// A continued line is not followed by an empty one.
    public static let noEmptyContinuation = LintRule(
        "NoEmptyContinuation",
        "A continued line is not followed by an empty one",
        page: "no-empty-continuation"
    )
    /// All instructions are written in one case, upper or lower.
    public static let consistentInstructionCasing = LintRule(
        "ConsistentInstructionCasing",
        "All instructions are written in one case, upper or lower",
        page: "consistent-instruction-casing"
    )
    /// No two stages have the same name.
    public static let duplicateStageName = LintRule(
        "DuplicateStageName",
        "No two stages have the same name",
        page: "duplicate-stage-name"
    )
    /// No stage is called context or scratch.
    public static let reservedStageName = LintRule(
        "ReservedStageName",
        "No stage is called context or scratch",
        page: "reserved-stage-name"
    )
    /// CMD and ENTRYPOINT are written as JSON arrays, so that signals reach the program and not a shell.
    public static let jsonArgsRecommended = LintRule(
        "JSONArgsRecommended",
        "CMD and ENTRYPOINT are written as JSON arrays, so that signals reach the program and not a shell",
        page: "json-args-recommended"
    )
    /// An image's author is given by LABEL, not by MAINTAINER.
    public static let maintainerDeprecated = LintRule(
        "MaintainerDeprecated",
        "An image's author is given by LABEL, not by MAINTAINER",
        page: "maintainer-deprecated"
    )
    /// A variable in FROM is declared by ARG before the first FROM.
    public static let undefinedArgInFrom = LintRule(
        "UndefinedArgInFrom",
        "A variable in FROM is declared by ARG before the first FROM",
        page: "undefined-arg-in-from"
    )
    /// The first WORKDIR of a stage is absolute, so that it does not depend on the base image.
    public static let workdirRelativePath = LintRule(
        "WorkdirRelativePath",
        "The first WORKDIR of a stage is absolute, so that it does not depend on the base image",
        page: "workdir-relative-path"
    )
    /// A variable is defined before it is used.
    public static let undefinedVar = LintRule(
        "UndefinedVar",
        "A variable is defined before it is used",
        page: "undefined-var"
    )
    /// CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage, as only the last one counts.
    public static let multipleInstructionsDisallowed = LintRule(
        "MultipleInstructionsDisallowed",
        "CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage, as only the last one counts",
        page: "multiple-instructions-disallowed"
    )
    /// ENV and LABEL are written KEY=value, not KEY value.
    public static let legacyKeyValueFormat = LintRule(
        "LegacyKeyValueFormat",
        "ENV and LABEL are written KEY=value, not KEY value",
        page: "legacy-key-value-format"
    )
    /// FROM does not ask for the target platform, which it has anyway.
    public static let redundantTargetPlatform = LintRule(
        "RedundantTargetPlatform",
        "FROM does not ask for the target platform, which it has anyway",
        page: "redundant-target-platform"
    )
    /// Secrets are not given by ARG or ENV, which stay in the image.
    public static let secretsUsedInArgOrEnv = LintRule(
        "SecretsUsedInArgOrEnv",
        "Secrets are not given by ARG or ENV, which stay in the image",
        page: "secrets-used-in-arg-or-env"
    )
    /// A base image has a valid name when no build argument is given.
    public static let invalidDefaultArgInFrom = LintRule(
        "InvalidDefaultArgInFrom",
        "A base image has a valid name when no build argument is given",
        page: "invalid-default-arg-in-from"
    )
    /// The platform of FROM is a variable, not a constant.
    public static let fromPlatformFlagConstDisallowed = LintRule(
        "FromPlatformFlagConstDisallowed",
        "The platform of FROM is a variable, not a constant",
        page: "from-platform-flag-const-disallowed"
    )
    /// COPY and ADD name no file that .dockerignore hides.
    public static let copyIgnoredFile = LintRule(
        "CopyIgnoredFile",
        "COPY and ADD name no file that .dockerignore hides",
        page: "copy-ignored-file"
    )
    /// A comment right above ARG or FROM starts with the name it describes.
    public static let invalidDefinitionDescription = LintRule(
        "InvalidDefinitionDescription",
        "A comment right above ARG or FROM starts with the name it describes",
        page: "invalid-definition-description",
        isDefault: false
    )
    /// The protocol in EXPOSE is written in lower case.
    public static let exposeProtoCasing = LintRule(
        "ExposeProtoCasing",
        "The protocol in EXPOSE is written in lower case",
        page: "expose-proto-casing"
    )
    /// EXPOSE names container ports only, no addresses and no host ports.
    public static let exposeInvalidFormat = LintRule(
        "ExposeInvalidFormat",
        "EXPOSE names container ports only, no addresses and no host ports",
        page: "expose-invalid-format"
    )
    /// The base image is for the platform that is wanted.
    public static let invalidBaseImagePlatform = LintRule(
        "InvalidBaseImagePlatform",
        "The base image is for the platform that is wanted"
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
        .invalidBaseImagePlatform,
        .secretArgUsedInRun,
        .aptGetUpdateAlone,
        .unpinnedBaseImage,
    ]
}
