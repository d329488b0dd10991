// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import Azure
@testable import Deploy

@Suite("Why a group does not work")
struct DiagnosisTests {
    private func state(_ view: String, group: String = "{\"state\":\"Running\"}") throws -> GroupState {
        try Groups.json(
            """
            {"properties":{"osType":"Linux","provisioningState":"Succeeded","instanceView":\(group),
            "containers":[{"name":"web","properties":{"image":"i","instanceView":\(view)}}]}}
            """
        )
        .state
    }

    private static let loop =
        #"{"restartCount":4,"currentState":{"state":"Waiting","detailStatus":"CrashLoopBackOff"},"previousState":{"state":"Terminated","exitCode":CODE,"detailStatus":"Error"}}"#

    @Test(
        "The one cause is the likeliest",
        arguments: [
            (
                loop.replacing("CODE", with: "1"), "Traceback\nKeyError: 'DB'\n",
                "web ended with exit code 1, and again after 4 restarts: KeyError: 'DB'"
            ),
            (
                loop.replacing("CODE", with: "127"), "sh: app: not found\n",
                "web cannot start its program (exit code 127): sh: app: not found"
            ),
            (
                loop.replacing("CODE", with: "1"), "exec /app: exec format error\n",
                "web is for another processor than linux/amd64"
            ),
            (
                loop.replacing("CODE", with: "1"), "Error: listen EADDRINUSE: address already in use :::80\n",
                "web listens on a port that another container of the group has"
            ),
            (
                loop.replacing("CODE", with: "137").replacing("\"Error\"", with: "\"OOMKilled\""), "",
                "web used more memory than it has"
            ),
            (loop.replacing("CODE", with: "139"), "", "web crashed (exit code 139)"),
            (
                loop.replacing("CODE", with: "0"), "done\n",
                "web ended, which starts it again and again with the restart policy Always"
            ),
            (
                #"{"currentState":{"state":"Waiting"},"events":[{"name":"Failed","type":"Warning","message":"Failed to pull image \"x\": denied"}]}"#,
                "", "the image cannot be pulled: Failed to pull image \"x\": denied"
            ),
            (
                #"{"restartCount":1,"currentState":{"state":"Running"},"events":[{"name":"Started","type":"Normal","message":"s"},{"name":"Killing","type":"Normal","message":"Container failed liveness probe"}]}"#,
                "", "web fails its liveness probe: Container failed liveness probe"
            ),
        ]
    )
    func causes(view: String, log: String, cause: String) throws {
        #expect(Diagnosis.of(try state(view), log: log, name: "web").cause == cause)
    }

    @Test(
        "The container that is to blame is the one that ended, or that the others wait for",
        arguments: [
            (["web Waiting 0", "log Terminated 0 3"], "log"), (["init! Running 1", "web Waiting 0"], "init"),
            (["init! Terminated 0 0", "web Waiting 0"], "web"), (["init! Terminated 0 2", "web Waiting 0"], "init"),
            (["log Waiting 0", "web Waiting 2"], "web"),
            (["log Running 0", "web Running 0", "gate Running 1"], "gate"),
            (["log Waiting 0", "web Running 2"], "web"), (["job Terminated 0 0", "web Running 0"], "job"),
            (["log Running 0", "web Running 0"], nil),
        ]
    )
    func faulty(views: [String], name: String?) {
        let containers = views.map { view in
            let words = view.split(separator: " ").map(String.init)
            return GroupState.ContainerState(
                name: words[0].replacing("!", with: ""),
                isInit: words[0].hasSuffix("!"),
                state: words[1],
                exitCode: words.count > 3 ? Int(words[3]) : nil,
                detail: "",
                restarts: Int(words[2]) ?? 0,
                previousExitCode: nil,
                previousDetail: "",
                started: "",
                previousStarted: "",
                events: []
            )
        }
        let state = GroupState(provisioning: "Succeeded", state: "Running", events: [], containers: containers)

        #expect(state.faulty?.name == name)
    }

    @Test(
        "A container that cannot get better is lost, one that still may is not",
        arguments: [
            (loop.replacing("CODE", with: "1"), "Always", true),
            (#"{"restartCount":0,"currentState":{"state":"Running"}}"#, "Always", false),
            (
                #"{"restartCount":0,"currentState":{"state":"Waiting","detailStatus":"ContainerCreating"}}"#, "Always",
                false
            ),
            (#"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":0}}"#, "Never", false),
            (#"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":0}}"#, "Always", true),
            (#"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":3}}"#, "Never", true),
        ]
    )
    func lost(view: String, policy: String, isLost: Bool) throws {
        #expect(ACITarget.isLost(try state(view), policy: policy) == isLost)
    }

    private func refusal(_ code: String) -> ARMError {
        ARMError(
            operation: "put containerGroups/web",
            resource: "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/web",
            status: 200,
            body: ["error": ["code": .string(code), "message": "No."]],
            correlationID: "corr-1"
        )
    }

    @Test(
        "An operation that failed is told in Azure's words where the containers say nothing, with its id where they do"
    )
    func operation() throws {
        let healthy = try state(#"{"restartCount":0,"currentState":{"state":"Running"}}"#)
        let broken = try state(#"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":3}}"#)

        let room = Diagnosis.of(healthy, log: "", name: "web", error: refusal("ServiceUnavailable"))
        #expect(room.cause == "put containerGroups/web: No. (ServiceUnavailable) (correlation id corr-1)")
        #expect(room.hint?.contains("--location") == true)
        let ended = Diagnosis.of(
            broken,
            log: "oops\n",
            name: "web",
            error: refusal("ContainerGroupInitContainerFailed")
        )
        #expect(ended.cause == "web ended with exit code 3: oops (correlation id corr-1)")
        let image = Diagnosis.of(broken, log: "", name: "web", error: refusal("InaccessibleImage"))
        #expect(image.cause.contains("(InaccessibleImage)"))
        #expect(Diagnosis.of(nil, log: "", name: "web", error: refusal("X")).cause.contains("(X)"))
    }

    @Test("Of a container that had been started again before, only what is added counts")
    func restarted() throws {
        let running = try state(#"{"restartCount":4,"currentState":{"state":"Running"}}"#)

        #expect(ACITarget.isLost(running, policy: "Always"))
        #expect(!ACITarget.isLost(running, policy: "Always", restarts: ["web": 4]))
        #expect(ACITarget.isLost(running, policy: "Always", restarts: ["web": 3]))
    }

    @Test("A program that has done its work is up, unless it should always run")
    func up() throws {
        let done = try state(#"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":0}}"#)

        #expect(done.isUp(restartPolicy: "Never"))
        #expect(!done.isUp(restartPolicy: nil))
    }
}
