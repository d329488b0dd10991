// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What is true of a stage between two instructions.
struct StageState: Sendable {
    /// Where programs are looked for when a base does not say.
    static let defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    var image: ImageConfig
    var platform: Platform
    /// ENV and ARG together.
    var variables = Variables()
    /// The arguments declared so far, those of base stages included.
    var arguments: [(name: String, value: String?)] = []
    /// The last step that changed files.
    var filesystem: Int?
    var isBaseKnown = false
    /// Whether WORKDIR stood in the Dockerfile already.
    var setsDirectory = false
    /// Whether CMD stood in this stage already.
    var setsCommand = false

    init(platform: Platform) {
        self.platform = platform
        image = ImageConfig(platform: platform)
    }

    /// An absolute path.
    var directory: String { image.workingDirectory.isEmpty ? "/" : image.workingDirectory }

    /// Takes variables and directory from the base's configuration.
    mutating func readImage() {
        if platform.os != "windows", !image.environment.contains(where: { $0.hasPrefix("PATH=") }) {
            image.environment.append(StageState.defaultPath)
        }
        for pair in image.environment {
            let (name, value) = Variables.split(pair)
            variables.set(name, value)
        }
        if !image.workingDirectory.isEmpty {
            image.workingDirectory = ImagePath.absolute(image.workingDirectory, in: "/", keepsSlash: false)
        }
    }

    /// Sets a variable of the image and of later steps.
    mutating func setEnvironment(_ name: String, _ value: String) {
        variables.set(name, value)
        let pair = "\(name)=\(value)"
        if let index = image.environment.firstIndex(where: { Variables.split($0).name == name }) {
            image.environment[index] = pair
        } else {
            image.environment.append(pair)
        }
    }
}
