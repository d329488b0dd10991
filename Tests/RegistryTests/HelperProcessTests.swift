// SPDX-License-Identifier: Apache-2.0
import Glibc
import Registry
import TestSupport
import Testing

/// Programs that do not behave as those that give credentials should.
@Suite(.inTurns) struct HelperProcessTests {
    private func run(
        _ script: String,
        seconds: Int = 60,
        hears: @escaping @Sendable ([UInt8]) -> Void = { _ in }
    ) async -> HelperProcess.Outcome {
        await HelperProcess.run(
            ["sh", "-c", script],
            input: Array("asked".utf8),
            environment: ["PATH": "/usr/bin:/bin"],
            seconds: seconds,
            keepsErrors: true,
            hears: hears
        )
    }

    @Test("One that closes its output and goes on is ended when its time is over")
    func silent() async throws {
        guard case .failed(let reason) = await run("exec >&- 2>&-; exec sleep 600", seconds: 5) else {
            Issue.record("it did not fail")
            return
        }
        #expect(reason == "it did not end in 5 s")
    }

    @Test("One that does not stop talking is ended")
    func talkative() async throws {
        guard case .failed(let reason) = await run("exec yes") else {
            Issue.record("it did not fail")
            return
        }
        #expect(reason == "it says more than 1048576 bytes")
    }

    @Test("One that complains faster than it is heard is ended when its time is over")
    func loud() async throws {
        guard case .failed(let reason) = await run("exec yes >&2", seconds: 5, hears: { _ in usleep(5000) }) else {
            Issue.record("it did not fail")
            return
        }
        #expect(reason == "it did not answer in 5 s")
    }

    @Test("Of one that complains at length the first mebibyte is kept")
    func complaining() async throws {
        guard case .ended(0, let output, let errors) = await run("yes | head -c 3000000 >&2; cat; echo .") else {
            Issue.record("it did not end well")
            return
        }
        #expect(String(decoding: output, as: UTF8.self) == "asked.\n")
        #expect(errors.count == 1 << 20)
    }

    @Test(
        "What ended is told by its status, or by its signal as a shell tells it",
        arguments: [("exit 3", 3), ("kill -9 $$", 137)]
    )
    func endings(script: String, expected: Int32) async throws {
        guard case .ended(let status, _, _) = await run(script) else {
            Issue.record("it did not end")
            return
        }
        #expect(status == expected)
    }
}
