// SPDX-License-Identifier: Apache-2.0

/// The configuration of an image: what a container of it runs, and how the image came about.
///
/// Specification: OCI image-spec 1.1, `config.md`, with Docker's `Shell`, `Healthcheck`, `OnBuild` and `ArgsEscaped`.
public struct ImageConfig: Hashable, Sendable {
    /// What the image runs on.
    public var platform: Platform
    /// The author, as MAINTAINER gives it.
    public var author: String?
    /// The user, by name or number, with a group after a colon where one is given; empty for root.
    public var user = ""
    /// Ports as `80/tcp`.
    public var exposedPorts: Set<String> = []
    /// `NAME=value`, in order.
    public var environment: [String] = []
    /// The command; `nil` where there is none.
    public var entrypoint: [String]?
    /// The arguments, or the command where there is no entrypoint; `nil` where there are none.
    public var command: [String]?
    /// Paths that hold data of their own.
    public var volumes: Set<String> = []
    /// The working directory; empty for `/`.
    public var workingDirectory = ""
    /// Labels.
    public var labels: [String: String] = [:]
    /// The signal that ends a container; empty for SIGTERM.
    public var stopSignal = ""
    /// The shell of shell-form commands; empty for `/bin/sh -c`.
    public var shell: [String] = []
    /// How to see that a container works.
    public var healthcheck: Healthcheck?
    /// Instructions for builds that have this image as their base.
    public var onBuild: [String] = []
    /// Whether the command was written in shell form, which only Windows looks at.
    public var isArgsEscaped = false
    /// One entry per instruction.
    public var history: [History] = []
    /// The layers before compression, the lowest first.
    public var diffIDs: [Digest] = []
    /// When the image was made, as RFC 3339 has it; `nil` where that is not said.
    public var created: String?

    /// An entry of an image's history.
    public struct History: Hashable, Sendable {
        /// The instruction as it was run.
        public var createdBy: String
        /// Who made the entry.
        public var comment: String
        /// Whether the instruction made no layer.
        public var isEmptyLayer: Bool
        /// When, as RFC 3339 has it; `nil` where that is not said.
        public var created: String?
        /// By whom; `nil` where that is not said.
        public var author: String?

        /// Creates an entry.
        ///
        /// - Parameters:
        ///   - createdBy: The instruction as it was run.
        ///   - comment: Who made the entry.
        ///   - isEmptyLayer: Whether the instruction made no layer.
        public init(createdBy: String, comment: String, isEmptyLayer: Bool) {
            (self.createdBy, self.comment, self.isEmptyLayer) = (createdBy, comment, isEmptyLayer)
        }
    }

    /// How to see that a container works; times in nanoseconds, 0 for the default.
    public struct Healthcheck: Hashable, Sendable {
        /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
        public var test: [String]
        /// The time between two checks.
        public var interval: Int64
        /// The time a check may take.
        public var timeout: Int64
        /// The time a container may take to start.
        public var startPeriod: Int64
        /// The time between two checks while it starts.
        public var startInterval: Int64
        /// How many checks must fail in a row.
        public var retries: Int

        /// Creates a check.
        ///
        /// - Parameters:
        ///   - test: The command.
        ///   - interval: Nanoseconds between two checks.
        ///   - timeout: Nanoseconds a check may take.
        ///   - startPeriod: Nanoseconds a container may take to start.
        ///   - startInterval: Nanoseconds between two checks while it starts.
        ///   - retries: How many checks must fail in a row.
        public init(
            test: [String],
            interval: Int64 = 0,
            timeout: Int64 = 0,
            startPeriod: Int64 = 0,
            startInterval: Int64 = 0,
            retries: Int = 0
        ) {
            self.test = test
            self.interval = interval
            self.timeout = timeout
            self.startPeriod = startPeriod
            self.startInterval = startInterval
            self.retries = retries
        }
    }

    /// Creates the configuration of an image with nothing in it.
    ///
    /// - Parameter platform: What the image runs on.
    public init(platform: Platform) {
        self.platform = platform
    }
}
