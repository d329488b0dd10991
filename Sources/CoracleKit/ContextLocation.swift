// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan

/// A value of `--build-context`, behind its name.
enum ContextLocation {
    /// A folder or an archive of this machine.
    case path(String)
    /// A git repository, or a file of a server.
    case remote(String)
    /// An image of a layout: `FOLDER[:TAG]`.
    case layout(String)
    /// An image of the store or of a registry.
    case image(String)
    /// No files at all: `docker-image://scratch`.
    case nothing

    static let forms =
        "expected a folder, a tar archive, a git URL, an http or https URL, oci-layout://FOLDER[:TAG] or "
        + "docker-image://REFERENCE"

    /// Reads a location; whether anything is there is not looked at.
    init(_ text: String, of name: String) throws(ExitReason) {
        let flag = "--build-context \(name)"
        if let folder = text.suffix(after: "oci-layout://") {
            self = .layout(folder)
        } else if let image = text.suffix(after: "docker-image://") {
            self = image == "scratch" ? .nothing : .image(image)
        } else if text.hasPrefix("target:") {
            throw ExitReason(
                .usage,
                "\(flag)=\(text): target: is a word of buildx bake, for one target that is built from another",
                hint: "name a stage of the same Dockerfile in FROM or --from; build the other image first, and give it "
                    + "with \(name)=docker-image://REFERENCE"
            )
        } else if text == "-" {
            throw ExitReason(.usage, "\(flag)=-: standard input is for the main context; \(ContextLocation.forms)")
        } else if try ContextLocation.isRemote(text, flag) {
            self = .remote(text)
        } else if let scheme = text.firstRange(of: "://"), !text[..<scheme.lowerBound].contains("/") {
            throw ExitReason(
                .usage,
                "\(flag): \"\(text[..<scheme.upperBound])\" is not known; \(ContextLocation.forms)"
            )
        } else {
            self = .path(text)
        }
    }

    private static func isRemote(_ text: String, _ flag: String) throws(ExitReason) -> Bool {
        do {
            return try BuildContext.repository(text) != nil || DockerfileInput.isURL(text)
        } catch {
            throw ExitReason(error.code, "\(flag): \(error.message)", hint: error.hint)
        }
    }
}
