// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// Repositories as build contexts and as sources of ADD, and what of an unpacked context may lead elsewhere.
@Suite struct GitContextTests {
    @Test("The environment of a hook leads to no repository of the user")
    func hookEnvironment() throws {
        guard let host = try GitHost() else { return }
        try host.commit("r", ["Dockerfile": "FROM scratch\nCOPY f /\n", "f": "one\n"])
        try host.commit("mine", ["f": "mine\n"])
        let mine = host.repository("mine").path
        let state = {
            try host.git(["status", "--porcelain"], in: "mine") + host.git(["show-ref", "--head"], in: "mine")
        }
        let before = (try state(), try Data(contentsOf: URL(filePath: mine + "/.git/config")))

        let result = try host.build(
            "r#main",
            environment: [
                "GIT_DIR": mine + "/.git", "GIT_WORK_TREE": mine, "GIT_INDEX_FILE": mine + "/.git/index",
                "GIT_OBJECT_DIRECTORY": mine + "/.git/objects", "GIT_COMMON_DIR": mine + "/.git",
                "GIT_NAMESPACE": "n", "GIT_PREFIX": "p/", "GIT_CONFIG": mine + "/.git/config",
                "GIT_TEMPLATE_DIR": mine,
            ]
        )

        #expect(result.status == 0, "\(result.errors)")
        #expect(try host.output("f") == "one\n")
        #expect(try state() == before.0)
        #expect(try Data(contentsOf: URL(filePath: mine + "/.git/config")) == before.1)
    }

    @Test("Personal settings change no file; those of access stay")
    func personalSettings() throws {
        guard let host = try GitHost() else { return }
        try host.commit("r", ["Dockerfile": "FROM scratch\nADD git://other/r /\n", "f": "one\n"])
        let attributes = try host.write("attributes", "* filter=f text\n")
        let hook = host.folder.appending(path: "hooks/post-checkout")
        try Program.install("#!/bin/sh\necho two > f\n", at: hook)
        try host.addSettings(
            """
            [core]
                autocrlf = true
                attributesFile = \(attributes.path)
                hooksPath = \(hook.deletingLastPathComponent().path)
            [filter "f"]
                smudge = tr o 0
            """
        )

        let result = try host.build(
            "r",
            environment: [
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "url.\(host.folder.path)/.insteadOf",
                "GIT_CONFIG_VALUE_0": "git://other/",
            ]
        )

        #expect(result.status == 0, "\(result.errors)")
        #expect(try host.output("f") == "one\n")
    }

    @Test("Submodules are folders of this machine only where the user allows it, and no setting changes their files")
    func submodules() throws {
        guard let host = try GitHost() else { return }
        try host.commit("sub", ["f": "one\n", ".gitattributes": "* filter=f\n"])
        try host.commit("r", ["Dockerfile": "FROM scratch\nCOPY sub/f /\n"])
        let add = [
            "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", host.repository("sub").path, "sub",
        ]
        try host.git(add, in: "r")
        try host.commit("r", ["g": "1"])
        try host.addSettings("[filter \"f\"]\n    smudge = tr o 0\n[core]\n    autocrlf = true\n")

        let refused = try host.build("r")
        let allowed = try host.build("r", environment: ["GIT_ALLOW_PROTOCOL": "file"])

        #expect(refused.status == 1)
        #expect(refused.errors.contains("git submodule ended with"), "\(refused.errors)")
        #expect(!refused.errors.contains(host.place.store.path), "\(refused.errors)")
        #expect(allowed.status == 0, "\(allowed.errors)")
        #expect(try host.output("f") == "one\n")
    }

    @Test("A context by name is a repository, too, or a folder of one")
    func named() throws {
        guard let host = try GitHost() else { return }
        try host.commit("r", ["Dockerfile": "FROM scratch\nCOPY --from=other . /in/\n"])
        try host.commit("data", ["f": "one\n", "sub/g": "old\n"])
        try host.git(["tag", "v1"], in: "data")
        try host.commit("data", ["sub/g": "new\n"])

        let whole = try host.build("r", ["--build-context", "other=git://test/data"])
        #expect(whole.status == 0, "\(whole.errors)")
        #expect(try host.output("in/f") == "one\n" && host.output("in/sub/g") == "new\n")
        let part = try host.build("r", ["--build-context", "other=git://test/data#v1:sub"])
        #expect(part.status == 0, "\(part.errors)")
        #expect(try host.output("in/g") == "old\n")
        let missing = try host.build("r", ["--build-context", "other=git://test/data#nosuch"])
        #expect(missing.status == 1)
        #expect(missing.errors.contains("--build-context other: git://test/data has no branch"), "\(missing.errors)")
    }

    @Test(
        "A name means what it names exactly: a branch, then a tag and its commit",
        arguments: [
            ("main", "main"), ("feature/main", "feature"), ("heads/main", "main"), ("refs/tags/main", "tag"),
            ("v1", "tag"), ("tags/v1", "tag"), ("", "feature"),
        ]
    )
    func names(ref: String, content: String) throws {
        guard let host = try GitHost() else { return }
        let dockerfile = "FROM scratch\nCOPY f /\n"
        try host.commit("r", ["Dockerfile": dockerfile, "f": "tag"])
        for tag in ["main", "v1"] { try host.git(["tag", "-a", "-m", "t", tag], in: "r") }
        try host.commit("r", ["f": "main"])
        try host.git(["checkout", "-q", "-b", "feature/main"], in: "r")
        try host.commit("r", ["f": "feature"])

        let result = try host.build("r#\(ref)")

        #expect(result.status == 0, "\(result.errors)")
        #expect(try host.output("f") == content)
    }

    @Test("A name that is only the end of another is not found")
    func endOfName() throws {
        guard let host = try GitHost() else { return }
        try host.commit("r", ["Dockerfile": "FROM scratch\n"])
        try host.git(["branch", "feature/next"], in: "r")

        let result = try host.build("r#next")

        #expect(result.status != 0)
        #expect(result.errors.contains("git://test/r has no branch, tag or commit \"next\""), "\(result.errors)")
    }

    @Test("A subfolder is no link and below none", arguments: ["up", "up/secret", "in", "f", "none"])
    func subfolders(folder: String) throws {
        guard let host = try GitHost() else { return }
        let outside = try host.write("outside/secret/Dockerfile", "FROM scratch\n").deletingLastPathComponent()
        try host.commit(
            "r",
            ["d/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", "f": "1"],
            links: ["up": outside.deletingLastPathComponent().path, "in": "d"]
        )

        for result in [try host.build("r#main:\(folder)"), try host.add("git://test/r#main:\(folder)")] {
            #expect(result.status == 1)
            #expect(result.errors.contains("error: git://test/r has no folder \"\(folder)\""), "\(result.errors)")
            #expect(!result.errors.contains(host.place.store.path), "\(result.errors)")
        }
        let result = try host.build("r#main:d")
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test(
        "Links to the Dockerfile and the ignore file stay in a repository",
        arguments: ["Dockerfile", ".dockerignore"]
    )
    func linksOfRepository(name: String) throws {
        guard let host = try GitHost() else { return }
        let outside = try host.write("outside", "FROM scratch\nLABEL secret=1\n").path
        let files = ["inner": name == "Dockerfile" ? "FROM scratch\n" : "g\n", "f": "1"]
        let rest = name == "Dockerfile" ? [:] : ["Dockerfile": "FROM scratch\n"]
        for (branch, target) in [
            ("in", "inner"), ("out", outside), ("up", "../../../../outside"), ("null", "/dev/null"),
        ] {
            try host.git(["symbolic-ref", "HEAD", "refs/heads/\(branch)"], in: host.made("r"))
            try host.commit("r", files.merging(rest) { $1 }, links: [name: target])
        }

        for branch in ["out", "null"] {
            let result = try host.build("r#\(branch)")
            #expect(result.status != 0)
            #expect(result.errors.contains("\(name): leads out of the build context"), "\(result.errors)")
            #expect(!result.errors.contains(host.place.root.path) && !result.errors.contains("secret"))
        }
        #expect(try host.build("r#in", ["--output", "type=tar,dest=/dev/null"]).status == 0)
    }

    @Test("Links to the Dockerfile stay in an archive, and --file names no other file")
    func linksOfArchive() throws {
        let place = try BuildPlace()
        let secret = place.root.appending(path: "secret")
        try Data("FROM scratch\n".utf8).write(to: secret)
        try place.archive(
            "a.tar",
            [.made("Dockerfile", .symlink, to: secret.path), .made("up", .symlink, to: "/"), .made("pipe", .fifo)]
        )
        let archive = place.context.appending(path: "a.tar").path

        for (arguments, message) in [
            ([], "Dockerfile: leads out of the build context"),
            (["-f", "up" + secret.path], "up\(secret.path): leads out of the build context"),
            (["-f", "../../../\(secret.lastPathComponent)"], "secret: "), (["-f", "pipe"], "pipe: is no file"),
            (
                ["-f", "Dockerfil"],
                "Dockerfil: there is no such file in the build context, did you mean \"Dockerfile\"?"
            ),
        ] {
            let result = try Program.run(["build", "--store", place.store.path] + arguments + [archive])
            #expect(result.status != 0)
            #expect(result.errors.contains(message), "\(result.errors)")
            #expect(!result.errors.contains(place.store.path), "\(result.errors)")
        }
    }

    @Test("A plain folder's Dockerfile may be a link to anywhere")
    func linksOfFolder() throws {
        let place = try BuildPlace()
        let elsewhere = place.root.appending(path: "elsewhere")
        try Data("FROM scratch\nCOPY f /\n".utf8).write(to: elsewhere)
        symlink(elsewhere.path, place.context.appending(path: "Dockerfile").path)
        try place.write("f", "1")

        #expect(try place.build().status == 0)
    }

    @Test("A build asks once what a name means, and takes that though the branch moves")
    func asksOnce() throws {
        guard let host = try GitHost(), let git = Program.named("git") else { return }
        try host.commit("r", ["f": "old"])
        try host.commit("next", ["f": "new"])
        try host.git(["fetch", "-q", host.repository("next").path, "main:next"], in: "r")
        try host.git(["config", "uploadpack.allowAnySHA1InWant", "true"], in: "r")
        let log = host.folder.appending(path: "log")
        // The branch moves as soon as it was asked for.
        let shim = try Program.install(
            """
            #!/bin/sh
            '\(git.path)' "$@" || exit
            case "$*" in *ls-remote*)
                echo asked >> '\(log.path)'
                '\(git.path)' --git-dir '\(host.repository("r").path)/.git' update-ref refs/heads/main next
            esac
            """,
            at: host.folder.appending(path: "bin/git")
        )
        let path = shim.deletingLastPathComponent().path + ":" + git.deletingLastPathComponent().path + ":/usr/bin:/bin"

        let first = try host.add("git://test/r#main", environment: ["PATH": path])
        let old = try host.output("f")
        let asked = try String(contentsOf: log, encoding: .utf8)
        let second = try host.add("git://test/r#main", environment: ["PATH": path])

        #expect(first.status == 0 && second.status == 0, "\(first.errors)\(second.errors)")
        #expect(asked == "asked\n")
        #expect(old == "old")
        #expect(try host.output("f") == "new")
    }

    @Test("Messages name files as the repository does")
    func messages() throws {
        guard let host = try GitHost() else { return }
        try host.commit("r", ["d/dockerfile": "FROM scratch\n", "e/Dockerfile": "FROM scratch\nCOPYY a b\n"])

        let missing = try host.build("r#:d")
        let faulty = try host.build("r", ["-f", "e/Dockerfile"])

        #expect(missing.errors.contains("did you mean \"dockerfile\"?"), "\(missing.errors)")
        #expect(missing.errors.contains("Dockerfile: there is no such file in the build context"), "\(missing.errors)")
        #expect(faulty.errors.contains("e/Dockerfile:2:"), "\(faulty.errors)")
        for result in [missing, faulty] {
            #expect(result.status != 0)
            #expect(!result.errors.contains(host.place.store.path), "\(result.errors)")
            #expect(!result.errors.contains("/tmp/"), "\(result.errors)")
        }
    }
}

/// Repositories on this machine that `git://test/NAME` leads to, by the settings of a user made up for it.
private final class GitHost {
    let place: BuildPlace
    let folder: URL
    private let program: URL
    private var out: URL { place.root.appending(path: "out") }

    /// `nil` where there is no git.
    init?() throws {
        guard let program = Program.named("git") else {
            print("SKIPPED: there is no git, so no repository is built")
            return nil
        }
        (self.program, place) = (program, try BuildPlace())
        folder = place.root.appending(path: "host")
        try addSettings(
            """
            [url "\(folder.path)/"]
                insteadOf = git://test/
            [user]
                name = A
                email = a@example.org
            [init]
                defaultBranch = main
            """
        )
    }

    private var environment: [String: String] {
        [
            "HOME": folder.path, "GIT_CONFIG_GLOBAL": folder.appending(path: ".gitconfig").path,
            "GIT_CONFIG_NOSYSTEM": "1",
        ]
    }

    func addSettings(_ text: String) throws {
        let file = folder.appending(path: ".gitconfig")
        try write(".gitconfig", ((try? String(contentsOf: file, encoding: .utf8)) ?? "") + text + "\n")
    }

    @discardableResult
    func write(_ path: String, _ text: String) throws -> URL {
        let file = folder.appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file
    }

    func repository(_ name: String) -> URL { folder.appending(path: name) }

    /// The name of a repository that exists from now on.
    func made(_ name: String) throws -> String {
        if !FileManager.default.fileExists(atPath: repository(name).path) {
            try FileManager.default.createDirectory(at: repository(name), withIntermediateDirectories: true)
            try git(["init", "-q"], in: name)
        }
        return name
    }

    /// Commits files, and makes the repository where there is none.
    func commit(_ name: String, _ files: [String: String], links: [String: String] = [:]) throws {
        let name = try made(name)
        for (path, text) in files { try write("\(name)/\(path)", text) }
        for (path, target) in links {
            let link = repository(name).appending(path: path).path
            unlink(link)
            symlink(target, link)
        }
        try git(["add", "-A"], in: name)
        try git(["commit", "-q", "-m", "change"], in: name)
    }

    @discardableResult
    func git(_ arguments: [String], in name: String) throws -> String {
        let result = try Program.run(arguments, of: program, in: repository(name), environment: environment)
        try #require(result.status == 0, "git \(arguments): \(result.errors)")
        return result.output
    }

    /// Builds a repository into a folder.
    func build(
        _ name: String,
        _ arguments: [String] = [],
        environment more: [String: String] = [:]
    ) throws -> Program {
        try run(arguments + ["git://test/\(name)"], more)
    }

    /// Builds an image with what ADD takes of a source.
    func add(_ source: String, environment more: [String: String] = [:]) throws -> Program {
        try place.write("Dockerfile", "FROM scratch\nADD \(source) /\n")
        return try run([place.context.path], more)
    }

    private func run(_ arguments: [String], _ more: [String: String]) throws -> Program {
        try? FileManager.default.removeItem(at: out)
        let output = arguments.contains("--output") ? [] : ["-o", out.path]
        return try Program.run(
            ["build", "--store", place.store.path] + output + arguments,
            environment: environment.merging(more) { $1 }
        )
    }

    /// A file of the image.
    func output(_ name: String) throws -> String {
        try String(contentsOf: out.appending(path: name), encoding: .utf8)
    }
}
