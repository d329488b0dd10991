// SPDX-License-Identifier: Apache-2.0

extension ImageConfig {
    /// Reads an image's configuration.
    ///
    /// - Parameter bytes: The document: OCI's, or Docker's.
    /// - Throws: ``ContentError`` where it is none.
    public init(parsing bytes: [UInt8]) throws(ContentError) {
        let json = try JSONValue(parsing: bytes)
        guard let os = json["os"]?.string, let architecture = json["architecture"]?.string else {
            throw ContentError(message: "not an image configuration: os and architecture are missing")
        }
        self.init(
            platform: Platform(
                os: os,
                architecture: architecture,
                variant: json["variant"]?.string,
                osVersion: json["os.version"]?.string
            )
        )
        author = json["author"]?.string
        created = json["created"]?.string
        history = (json["history"]?.array ?? []).map { History(json: $0) }
        for text in json["rootfs"]?["diff_ids"]?.texts ?? [] {
            diffIDs.append(try Digest(text))
        }
        if let container = json["config"] { readContainer(container) }
    }

    private mutating func readContainer(_ json: JSONValue) {
        user = json["User"]?.string ?? ""
        exposedPorts = Set(json["ExposedPorts"]?.object?.keys ?? [:].keys)
        environment = json["Env"]?.texts ?? []
        entrypoint = json["Entrypoint"]?.texts
        command = json["Cmd"]?.texts
        volumes = Set(json["Volumes"]?.object?.keys ?? [:].keys)
        workingDirectory = json["WorkingDir"]?.string ?? ""
        labels = json["Labels"]?.strings ?? [:]
        stopSignal = json["StopSignal"]?.string ?? ""
        shell = json["Shell"]?.texts ?? []
        onBuild = json["OnBuild"]?.texts ?? []
        isArgsEscaped = json["ArgsEscaped"]?.bool ?? false
        // Some tools write null for what is not there.
        guard let check = json["Healthcheck"], check.object != nil else { return }
        healthcheck = Healthcheck(
            test: check["Test"]?.texts ?? [],
            interval: check["Interval"]?.int ?? 0,
            timeout: check["Timeout"]?.int ?? 0,
            startPeriod: check["StartPeriod"]?.int ?? 0,
            startInterval: check["StartInterval"]?.int ?? 0,
            retries: Int(check["Retries"]?.int ?? 0)
        )
    }
}

extension ImageConfig.History {
    fileprivate init(json: JSONValue) {
        self.init(
            createdBy: json["created_by"]?.string ?? "",
            comment: json["comment"]?.string ?? "",
            isEmptyLayer: json["empty_layer"]?.bool ?? false
        )
        created = json["created"]?.string
        author = json["author"]?.string
    }
}
