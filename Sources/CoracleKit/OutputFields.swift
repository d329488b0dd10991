// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// The fields of a value of `--output`, as buildx writes them: `type=image,name=app,push=true`.
struct OutputFields {
    /// What is about the image itself, and so the same for all outputs of a build.
    struct Image {
        /// `name`: names as `--tag` gives them.
        var names: [String] = []
        /// `push`: the image goes to the registries of its names.
        var pushes = false
        /// `push-by-digest`: no tag is set there.
        var pushesByDigest = false
        /// `annotation.NAME` and the like, in the form of `--annotation`.
        var annotations: [String] = []
        /// `force-compression`: the layers of base images are compressed so, too.
        var forcesCompression = false
        /// `compression` and `compression-level`, in the form of `--compression`.
        var compression: String?
    }

    let text: String
    private var values: [String: String] = [:]
    private var annotations: [String] = []

    /// Fields that all types have.
    private static let common: Set<String> = ["type", "dest", "name"]
    /// Fields of types that have manifests and layers.
    private static let ofImages: Set<String> = [
        "oci-mediatypes", "compression", "compression-level", "force-compression", "rewrite-timestamp",
    ]
    private static let ofStore: Set<String> = [
        "push", "push-by-digest", "name-canonical", "unpack", "store", "registry.insecure",
    ]

    init(_ text: String) throws(ExitReason) {
        self.text = text
        guard let fields = CSVFields.read(text) else {
            throw ExitReason(.usage, "--output \"\(text)\" has a quote inside a field, or one that is not closed")
        }
        for field in fields {
            guard let equals = field.firstIndex(of: "=") else {
                throw ExitReason(.usage, "--output \"\(text)\": \"\(field)\" has no value; \(ImageOutput.forms)")
            }
            let (name, value) = (String(field[..<equals]), String(field[field.index(after: equals)...]))
            if let annotation = OutputFields.annotation(name, value) {
                annotations.append(annotation)
            } else {
                values[name.lowercased()] = value
            }
        }
    }

    subscript(name: String) -> String? { values[name] }

    /// `annotation[-PLACE][[PLATFORM]].NAME` in the form of `--annotation`; `nil` for other fields.
    private static func annotation(_ field: String, _ value: String) -> String? {
        guard let rest = field.suffix(after: "annotation"), let dot = rest.firstIndex(of: ".") else { return nil }
        var place = String(rest[..<dot])
        // The platform of an annotation has no point in it, and its name may have many.
        if place.hasPrefix("-") {
            place.removeFirst()
        } else if place.isEmpty || place.hasPrefix("[") {
            place = "manifest" + place
        } else {
            return nil
        }
        return "\(place):\(rest[rest.index(after: dot)...])=\(value)"
    }

    /// Refuses fields that a type has not.
    func check(_ kind: ImageOutput.Kind) throws(ExitReason) {
        var known = OutputFields.common
        switch kind {
        case .image: known.formUnion(OutputFields.ofImages.union(OutputFields.ofStore))
        case .oci, .docker: known.formUnion(OutputFields.ofImages.union(["tar"]))
        case .tar, .local: known.formUnion(["platform-split", "mode"])
        case .cacheonly: break
        }
        if let other = values.keys.sorted().first(where: { !known.contains($0) }) {
            throw fault("\"\(other)\" is not known")
        }
        if !annotations.isEmpty, ![.image, .oci, .docker].contains(kind) {
            throw fault("files have no annotations; images have")
        }
        for (field, wanted, why) in OutputFields.settled {
            guard let value = try flag(field), value != wanted else { continue }
            throw ExitReason(.usage, "--output: \(field)=\(value): \(why.0)", hint: why.1)
        }
        if let mode = values["mode"], mode != "copy" {
            throw fault("mode=\(mode): files are copied, and what else is in the folder stays")
        }
    }

    /// Fields that can only say what is so anyway.
    private static let settled: [(String, Bool, (String, String?))] = [
        (
            "registry.insecure", false,
            ("which hosts are spoken with in the clear is said once, for base images too", "--insecure HOST")
        ),
        ("rewrite-timestamp", true, ("with SOURCE_DATE_EPOCH no time in a layer is after it", nil)),
        ("store", true, ("an image is kept in the store", "type=cacheonly gives it no name there")),
    ]

    /// What is about the image itself.
    func image(_ kind: ImageOutput.Kind) throws(ExitReason) -> Image {
        var image = Image()
        image.names = (values["name"] ?? "").split(separator: ",").map(String.init)
        image.pushes = try flag("push") ?? (values["type"] == "registry")
        image.pushesByDigest = try flag("push-by-digest") ?? false
        if image.pushesByDigest, !image.pushes { throw fault("push-by-digest is there, and push=true is not") }
        image.forcesCompression = try flag("force-compression") ?? false
        image.annotations = annotations
        if let compression = values["compression"] {
            guard ["gzip", "zstd"].contains(compression) else {
                throw ExitReason(.usage, "--output: compression=\(compression): layers are gzip or zstd")
            }
            image.compression = compression
        }
        if let level = values["compression-level"] {
            image.compression = "\(image.compression ?? "gzip"):\(level)"
        }
        return image
    }

    /// A boolean of Go.
    func flag(_ name: String) throws(ExitReason) -> Bool? {
        guard let value = values[name] else { return nil }
        guard let isSet = GoBool.read(value) else {
            throw ExitReason(.usage, "--output: \(name)=\(value) is neither true nor false")
        }
        return isSet
    }

    private func fault(_ what: String) -> ExitReason {
        ExitReason(.usage, "--output \"\(text)\": \(what); \(ImageOutput.forms)")
    }
}

extension Build {
    /// The same build with what the environment and its outputs say of the image: there is one, whatever it is written as.
    func settled(_ environment: [String: String]) throws(ExitReason) -> Build {
        var build = self
        if platforms.isEmpty {
            build.platforms = PlanSettings.defaultPlatforms(environment)
            do {
                _ = try build.wantedPlatforms()
            } catch {
                throw ExitReason(.usage, "DOCKER_DEFAULT_PLATFORM: \(error.message)")
            }
        }
        for text in outputs { build.targets.append(try ImageOutput(text)) }
        var compressions = Set(compression.map { [$0] } ?? [])
        for target in build.targets {
            build.tags += target.image.names.filter { !build.tags.contains($0) }
            build.annotations = target.image.annotations + build.annotations
            if target.image.pushes { build.registries.pushes = true }
            if target.image.pushesByDigest { build.registries.setsNoTags = true }
            if target.image.forcesCompression { build.recompresses = true }
            if let compression = target.image.compression { compressions.insert(compression) }
        }
        if compressions.count > 1 {
            let list = compressions.sorted().joined(separator: ", ")
            throw ExitReason(.usage, "layers are compressed once for all outputs, and these are given: \(list)")
        }
        build.compression = compressions.first
        // Faults of flags are found before anybody is asked.
        _ = (try build.wantedCompression(), try build.options(nil, environment))
        return build
    }
}
