// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// Passwords of repositories and downloads: who is shown them, and where they are never seen.
@Suite(.enabled(if: GitServer.canRun, "git with its HTTP server, and python3, are not installed"))
struct GitSecretTests {
    private let place: BuildPlace
    private let folder: TemporaryFolder

    init() throws {
        place = try BuildPlace()
        folder = try TemporaryFolder()
    }

    /// Runs a verb with a `git` that writes down its arguments.
    private func coracle(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Program {
        let git = try #require(Program.named("git"))
        let log = folder.url.path + "/arguments"
        let script = "#!/bin/sh\necho \"$*\" >> '\(log)'\nexec '\(git.path)' \"$@\"\n"
        let shim = try Program.install(script, at: folder.url.appending(path: "bin/git"))
        let own = [
            "PATH": "\(shim.deletingLastPathComponent().path):/usr/bin:/bin", "HOME": folder.url.path,
            "GIT_CONFIG_NOSYSTEM": "1", "CORACLE_STORE": place.store.path,
        ]
        return try Program.run(arguments, environment: own.merging(environment) { $1 })
    }

    /// All that is in a folder, as one text.
    private func everything(in folder: URL) -> String {
        let paths = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        return (paths?.allObjects as? [URL] ?? []).compactMap { try? Data(contentsOf: $0) }
            .map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }

    private func arguments() throws -> String {
        try String(contentsOf: folder.url.appending(path: "arguments"), encoding: .utf8)
    }

    @Test("A password in a URL gets what it is for, and is nowhere to be seen")
    func password() async throws {
        let server = try await GitServer(["Dockerfile": "FROM scratch\nCOPY f /\n", "f": "one\n"])
        let url = "http://ann:h%40rse-batt@\(server.host)/r.git"
        try place.write("Dockerfile", "FROM scratch\nADD --keep-git-dir \(url) /\n")
        let out = place.root.appending(path: "out")
        let add = ["build", "--progress", "plain", "-t", "added:1", "-o", out.path, place.context.path]

        let added = try coracle(add)
        let context = try coracle(["build", "--progress", "plain", "-t", "context:1", url])
        let plan = try coracle(["plan", "--format", "json", place.context.path])
        let shown = try coracle(["inspect", "added:1", "--format", "json"])
        try place.write("Dockerfile", "FROM scratch\nADD --bad \(url) /\n")
        let fault = try coracle(["build", place.context.path])

        #expect(added.status == 0 && context.status == 0, "\(added.errors)\(context.errors)")
        #expect(plan.status == 0 && shown.status == 0 && fault.status == 2, "\(plan.errors)\(shown.errors)")
        let config = try String(contentsOf: out.appending(path: ".git/config"), encoding: .utf8)
        #expect(config.contains("url = http://\(server.host)/r.git\n"), "\(config)")
        let texts =
            [added, context, plan, shown, fault].map { $0.output + $0.errors }
            + [config, try arguments(), everything(in: place.store), everything(in: out)]
        for (index, text) in texts.enumerated() {
            for secret in ["h%40rse-batt", "h@rse-batt"] { #expect(!text.contains(secret), "text \(index)") }
        }
    }

    @Test(
        "Secrets of a build are shown to the servers that they are for",
        arguments: [
            ("GIT_AUTH_TOKEN", "t0ken-batt", true), ("GIT_AUTH_TOKEN.HOST", "t0ken-batt", true),
            ("GIT_AUTH_HEADER", "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4tYmF0dA==", true),
            ("GIT_AUTH_TOKEN.elsewhere.example", "t0ken-batt", false), ("GIT_AUTH_TOKEN", "wrong-batt", false),
        ]
    )
    func secrets(id: String, value: String, isRight: Bool) async throws {
        let server = try await GitServer(["Dockerfile": "FROM scratch\nCOPY f /\n", "f": "one\n"])
        let url = "http://\(server.host)/r.git"
        try place.write("Dockerfile", "FROM scratch\nADD \(url) /\n")
        let secret = ["--secret", "id=\(id.replacing("HOST", with: server.host)),env=V"]

        for source in [place.context.path, url] {
            let result = try coracle(["build", "--progress", "plain"] + secret + [source], ["V": value])
            #expect(result.status == (isRight ? 0 : 3), "\(result.errors)")
            if !isRight { #expect(result.errors.contains("GIT_AUTH_TOKEN"), "\(result.errors)") }
            #expect(!(result.output + result.errors + (try arguments())).contains(value))
        }
    }

    @Test("A repository with .git is the same wherever and whenever it is fetched")
    func keptDirectory() async throws {
        let server = try await GitServer(["f": "one\n", "d/g": String(repeating: "two\n", count: 99)])
        try place.write(
            "Dockerfile",
            "FROM scratch\nADD --keep-git-dir http://x-access-token:t0ken-batt@\(server.host)/r.git /\n"
        )
        var digests: Set<String> = []
        var names: [String] = []
        for round in 0..<2 {
            let tar = folder.url.appending(path: "\(round).tar")
            let build = [
                "build", "-q", "--store", folder.url.path + "/store\(round)", "-o", "type=tar,dest=\(tar.path)",
            ]
            let result = try coracle(build + [place.context.path], ["SOURCE_DATE_EPOCH": "0"])
            try #require(result.status == 0, "\(result.errors)")
            digests.insert(result.output)
            names = try BuildPlace.entries(tar).map(\.name)
            // What is remembered of files has times in seconds.
            sleep(1)
        }
        #expect(digests.count == 1)
        #expect(
            names.contains { $0.hasSuffix(".git/index") } && names.contains { $0.hasSuffix(".git/HEAD") },
            "\(names)"
        )
        #expect(!names.contains { $0.contains(".git/logs") || $0.contains("FETCH_HEAD") || $0.contains("ORIG_HEAD") })
    }

    @Test("A failing git says why, and ends as other servers do that cannot be reached")
    func reasons() async throws {
        let server = try await GitServer(["f": "one\n"])
        let ssh = try Program.install(
            "#!/bin/sh\necho 'ann@h: Permission denied (publickey).' >&2\nexit 255\n",
            at: folder.url.appending(path: "ssh")
        )
        let environment = ["GIT_SSH": ssh.path, "GIT_SSH_VARIANT": "ssh"]
        for (url, words, status) in [
            ("git://127.0.0.1:1/r", "errno=Connection refused", Int32(4)),
            ("http://ann:pass-batt@127.0.0.1:1/r.git", "127.0.0.1 port 1", 4),
            ("http://ann:pass-batt@\(server.host)/r.git", "Authentication failed", 3),
            ("http://ann:h%40rse-batt@\(server.host)/none.git", "not found", 4),
            ("ssh://ann@h/r", "Permission denied (publickey).", 3),
        ] {
            try place.write("Dockerfile", "FROM scratch\nADD \(url) /\n")
            for source in [place.context.path, url] {
                let result = try coracle(["build", source], environment)
                #expect(result.status == status, "\(url): \(result.errors)")
                #expect(result.errors.contains(words), "\(result.errors)")
                #expect(!result.errors.contains("-batt"), "\(result.errors)")
            }
        }
    }

    @Test("A download shows its password to its own host, and not to where that leads")
    func downloads() throws {
        let other = try LoopbackServer { _, _ in LoopbackServer.Reply(body: "two") }
        let own = try LoopbackServer { request, _ in
            guard request.fields["authorization"] == "Basic YW5uOmhAcnNlLWJhdHQ=" else {
                return LoopbackServer.Reply(status: 401)
            }
            if request.path == "/away" {
                return LoopbackServer.Reply(status: 302, fields: ["Location": "http://\(other.host)/two"])
            }
            return LoopbackServer.Reply(body: "FROM scratch\n")
        }
        let url = "http://ann:h%40rse-batt@\(own.host)"
        try place.write("Dockerfile", "FROM scratch\nADD \(url)/f \(url)/away /\n")

        let added = try coracle(["build", "--progress", "plain", "-t", "added:1", place.context.path])
        let context = try coracle(["build", "--progress", "plain", "\(url)/Dockerfile"])
        try place.write("Dockerfile", "FROM scratch\nADD http://ann:wr0ng-batt@\(own.host)/f /\n")
        let wrong = try coracle(["build", place.context.path])
        try place.write("Dockerfile", "FROM scratch\nADD http://ann:wr0ng-batt@127.0.0.1:1/f /\n")
        let refused = try coracle(["build", place.context.path])
        let shown = try coracle(["inspect", "added:1", "--format", "json"])

        #expect(added.status == 0 && context.status == 0, "\(added.errors)\(context.errors)")
        #expect(wrong.status == 3 && refused.status == 4, "\(wrong.errors)\(refused.errors)")
        #expect(!other.requests.isEmpty && other.requests.allSatisfy { $0.fields["authorization"] == nil })
        let texts =
            [added, context, wrong, refused, shown].map { $0.output + $0.errors } + [everything(in: place.store)]
        for (index, text) in texts.enumerated() {
            #expect(!text.contains("-batt"), "text \(index): \(text.prefix(2000))")
        }
    }
}

/// A repository `r.git` of one commit, for "ann" with "h@rse-batt" and "x-access-token" with "t0ken-batt" only.
private final class GitServer {
    static let canRun: Bool = {
        let path = try? Program.run(["--exec-path"], of: Program.named("git") ?? URL(filePath: "/bin/false"))
        let folder = path?.output.trimmingCharacters(in: .newlines) ?? ""
        let found =
            FileManager.default.isExecutableFile(atPath: folder + "/git-http-backend")
            && Program.named("python3") != nil
        if !found { print("SKIPPED GitSecretTests: git with its HTTP server, and python3, are not installed") }
        return found
    }()

    private static let program = """
        import base64, http.server, os, subprocess, sys
        users = {base64.b64encode(u.encode()).decode() for u in ("ann:h@rse-batt", "x-access-token:t0ken-batt")}
        class Handler(http.server.BaseHTTPRequestHandler):
            def serve(self):
                words = self.headers.get("Authorization", "").split()
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if len(words) != 2 or words[1] not in users:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="tests"')
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                path, _, query = self.path.partition("?")
                names = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "GIT_PROJECT_ROOT": sys.argv[1], "GIT_HTTP_EXPORT_ALL": "1"}
                done = subprocess.run(["git", "http-backend"], input=body, env={**os.environ, **names}, capture_output=True)
                head, _, rest = done.stdout.partition(b"\\r\\n\\r\\n")
                fields = [l.split(": ", 1) for l in head.decode().split("\\r\\n")]
                status = next((int(v.split()[0]) for n, v in fields if n == "Status"), 200)
                self.send_response(status)
                for name, value in fields:
                    if name != "Status": self.send_header(name, value)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest)
            do_GET = do_POST = serve
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print("listening on", server.server_address[1], flush=True)
        server.serve_forever()
        """

    let host: String
    private let process: ServerProcess
    private let folder: TemporaryFolder

    init(_ files: [String: String]) async throws {
        folder = try TemporaryFolder()
        let git = try #require(Program.named("git"))
        let root = folder.url.appending(path: "root/r.git")
        for (path, text) in files { try folder.write("root/r.git/\(path)", text) }
        for arguments in [
            ["init", "-q", "-b", "main"], ["add", "-A"],
            ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "one"],
            ["config", "uploadpack.allowAnySHA1InWant", "true"],
        ] {
            let result = try Program.run(arguments, of: git, in: root)
            try #require(result.status == 0, "\(result.errors)")
        }
        let program = try folder.write("server.py", GitServer.program)
        process = try await ServerProcess(
            ["python3", "-u", program.path, folder.url.path + "/root"],
            readyAt: "listening on "
        )
        host = "127.0.0.1:\(try process.port(after: "listening on "))"
    }
}
