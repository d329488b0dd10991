// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What is true of a stage between two instructions.
struct StageState {
    /// Where programs are looked for when a base does not say.
    static let defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    var image: ImageConfig
    var platform: Platform
    /// ENV and ARG together.
    var variables: Variables
    /// The arguments declared so far, those of base stages included, each once, in the order of their first ARG.
    private(set) var arguments: [(name: String, value: String?)] = []
    private var argumentPlaces: [String: Int] = [:]
    private var environmentPlaces: [String: Int] = [:]
    /// The last step that changed files.
    var filesystem: Int?
    var isBaseKnown = false
    /// Whether WORKDIR stood in the Dockerfile already.
    var setsDirectory = false
    /// Whether CMD stood in this stage already.
    var setsCommand = false

    init(platform: Platform, log: AssignmentLog) {
        (self.platform, variables) = (platform, Variables(log: log))
        image = ImageConfig(platform: platform)
    }

    /// An absolute path.
    var directory: String { image.workingDirectory.isEmpty ? "/" : image.workingDirectory }

    /// Takes variables and directory from the base's configuration.
    mutating func readImage() {
        if platform.os != "windows", !image.environment.contains(where: { $0.hasPrefix("PATH=") }) {
            image.environment.append(StageState.defaultPath)
        }
        environmentPlaces = [:]
        for (place, pair) in image.environment.enumerated() {
            let (name, value) = Variables.split(pair)
            variables.set(name, value)
            if environmentPlaces[name] == nil { environmentPlaces[name] = place }
        }
        if !image.workingDirectory.isEmpty, platform.os != "windows" {
            image.workingDirectory = ImagePath.absolute(image.workingDirectory, in: "/", keepsSlash: false)
        }
    }

    /// Sets a variable of the image and of later steps.
    mutating func setEnvironment(_ name: String, _ value: String) {
        variables.set(name, value)
        let pair = "\(name)=\(value)"
        if let place = environmentPlaces[name] {
            image.environment[place] = pair
        } else {
            environmentPlaces[name] = image.environment.count
            image.environment.append(pair)
        }
    }

    /// Declares an argument, again or for the first time.
    mutating func declare(_ name: String, _ value: String?) {
        if let place = argumentPlaces[name] {
            arguments[place].value = value
        } else {
            argumentPlaces[name] = arguments.count
            arguments.append((name, value))
        }
    }

    /// Whether ARG names a variable, with a value or without.
    func declares(_ name: String) -> Bool { argumentPlaces[name] != nil }
}
