// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import Azure
@testable import Deploy

@Suite("Why a group does not work")
struct DiagnosisTests {
    private func state(
        _ view: String,
        group: String = "{\"state\":\"Running\"}",
        policy: String? = nil,
        provisioning: String = "Succeeded"
    ) throws -> GroupState {
        try Groups.json(
            """
            {"properties":{"osType":"Linux",\(policy.map { "\"restartPolicy\":\"\($0)\"," } ?? "")"provisioningState":"\(provisioning)","instanceView":\(group),
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
            (["db Waiting 0", "web Terminated 0 0"], "web"),
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
        let state = GroupState(
            provisioning: "Succeeded",
            state: "Running",
            events: [],
            containers: containers,
            runsAlways: true
        )

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
        #expect(ACITarget.isLost(try state(view, policy: policy)) == isLost)
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

        #expect(ACITarget.isLost(running))
        #expect(!ACITarget.isLost(running, restarts: ["web": 4]))
        #expect(ACITarget.isLost(running, restarts: ["web": 3]))
    }

    private static let running = #"{"restartCount":2,"currentState":{"state":"Running","startTime":"1"}}"#
    private static let killed =
        #"{"restartCount":2,"currentState":{"state":"Terminated","startTime":"1","exitCode":137,"detailStatus":"Error"}}"#
    private static let again =
        #"{"restartCount":2,"currentState":{"state":"Waiting","detailStatus":"CrashLoopBackOff"},"previousState":{"state":"Terminated","startTime":"1","exitCode":3,"detailStatus":"Error"}}"#

    @Test(
        "What an update itself did to the containers of before is no news; what the new ones do is",
        arguments: [
            (running, killed, true, "Waiting", nil), (running, again, true, "Waiting", nil),
            (running, killed.replacing(#""1""#, with: #""2""#), true, "Terminated", 137),
            (running, again.replacing(#""1""#, with: #""2""#), true, "Waiting", 3),
            (again, killed, true, "Waiting", nil), (again, again, true, "Waiting", nil),
            // Times that are not said are no times that are the same.
            (
                running.replacing(#""1""#, with: #""""#), killed.replacing(#""1""#, with: #""""#), true, "Terminated",
                137
            ),
            // Nothing was done to them.
            (running, killed, false, "Terminated", 137), (again, again, false, "Waiting", 3),
        ] as [(String, String, Bool, String, Int?)]
    )
    func news(before: String, view: String, isUpdated: Bool, phase: String, code: Int?) throws {
        let new = try state(view).leavingOut(try state(before), isUpdated: isUpdated)
        let web = try #require(new["web"])

        #expect(web.state == phase)
        #expect((web.exitCode ?? web.previousExitCode) == code)
        #expect(ACITarget.isLost(new) == (code != nil))
        #expect(Diagnosis.of(new, log: "", name: "web").cause.contains("exit code") == (code != nil))
    }

    @Test("A container that runs since before is not blamed for having been started again before that")
    func calm() throws {
        let state = try state(Self.running)

        for isUpdated in [false, true] {
            #expect(state.leavingOut(state, isUpdated: isUpdated).faulty == nil)
        }
        #expect(state.faulty?.name == "web")
        #expect(state.leavingOut(nil, isUpdated: true) == state)
    }

    @Test("A program that had done its work before an update is not to blame")
    func doneBefore() throws {
        let done = try state(ended(with: 0), policy: "Never")
        let stopped = try state(ended(with: 0))

        let after = done.leavingOut(done, isUpdated: true)
        #expect(after.faulty == nil)
        let refused = Diagnosis.of(after, log: "done\n", name: "web", main: "web", error: refusal("ServiceUnavailable"))
        #expect(refused.cause.contains("(ServiceUnavailable)"))
        #expect(Diagnosis.of(after, log: "", name: "web", main: "web").cause == "web is succeeded, running")
        #expect(stopped.leavingOut(stopped, isUpdated: true)["web"]?.state == "Waiting")
    }

    @Test("A program that was started again, and had done its work before an update, is not lost")
    func doneAgain() throws {
        let done = try state(ended(with: 0), policy: "OnFailure")

        #expect(!ACITarget.isLost(done.leavingOut(done, isUpdated: true)))
        #expect(ACITarget.isLost(done.leavingOut(done, isUpdated: false)))
    }

    @Test("A group that has failed for what ran before an update has not failed for the update")
    func failedBefore() throws {
        let failed = { (view: String, provisioning: String) in
            try state(view, group: #"{"state":"Failed"}"#, policy: "Never", provisioning: provisioning)
        }
        let (before, after) = (try state(Self.running, policy: "Never"), try failed(Self.killed, "Pending"))

        #expect(!ACITarget.isLost(after.leavingOut(before, isUpdated: true)))
        #expect(ACITarget.isLost(after.leavingOut(before, isUpdated: false)))
        let anew = try failed(Self.killed.replacing(#""1""#, with: #""2""#), "Pending")
        #expect(anew.leavingOut(before, isUpdated: true).state == "Failed")
        // Where ARM is done, nothing more is to come.
        #expect(try failed(Self.killed, "Succeeded").leavingOut(before, isUpdated: true).state == "Failed")
    }

    @Test("What a container wrote before an update is known to be of before")
    func oldLog() throws {
        let before = try state(Self.running)
        let isOld = { (view: String, isUpdated: Bool) in
            try state(view).leavingOut(before, isUpdated: isUpdated)["web"]?.isOfBefore
        }

        for view in [Self.running, Self.killed, Self.again] {
            #expect(try isOld(view, true) == true)
            #expect(try isOld(view, false) == false)
            #expect(try isOld(view.replacing(#""1""#, with: #""2""#), true) == false)
        }
        let begun = Self.again.replacing("Waiting", with: "Running").replacing("CrashLoopBackOff", with: "")
        #expect(try isOld(begun, true) == false)
    }

    @Test("Where all look well, what they wrote or once ended with is not what Azure refused")
    func refusedWhileWell() throws {
        let healthy = try state(Self.running.replacing("2", with: "0"))
        let cause = { (log: String, code: Int?, error: ARMError?) in
            Diagnosis.of(healthy, log: log, name: "web", error: error, codes: code.map { ["web": $0] } ?? [:]).cause
        }
        let inUse = "bind: address already in use"

        #expect(cause(inUse, nil, refusal("ServiceUnavailable")).contains("(ServiceUnavailable)"))
        #expect(cause("", 3, refusal("ServiceUnavailable")).contains("(ServiceUnavailable)"))
        #expect(cause(inUse, nil, nil).contains("listens on a port"))
        #expect(cause("", 3, nil) == "web ended with exit code 3")
        let unhealthy = try state(
            #"{"restartCount":0,"currentState":{"state":"Running"},"events":[{"name":"Unhealthy","type":"Warning","message":"Liveness probe failed: 500"}]}"#
        )
        let probed = Diagnosis.of(unhealthy, log: "", name: "web", error: refusal("ServiceUnavailable")).cause
        #expect(probed == "web fails its liveness probe: Liveness probe failed: 500 (correlation id corr-1)")
    }

    @Test("A run that began before Azure took a change is of before, however late; one that begins later is not")
    func known() throws {
        let group = try Groups.json(#"{"properties":{"osType":"Linux","containers":[]}}"#)
        let run = { (start: Int) in try state(Self.again.replacing(#""1""#, with: "\"\(start)\"")) }
        let teller = StateTeller(group, before: try run(1), isUpdate: true) { _ in }

        teller.know(try run(2))
        teller.accept()
        teller.take(try run(2))
        #expect(teller.codes.isEmpty)
        #expect(!ACITarget.isLost(teller.new(try run(2))))
        teller.take(try run(3))
        #expect(teller.codes == ["web": 3])
        #expect(ACITarget.isLost(teller.new(try run(3))))
    }

    private func ended(with code: Int) -> String { Self.killed.replacing("137", with: "\(code)") }

    @Test("What was told before an update is not told as its cause")
    func oldEvents() throws {
        let view = { (count: Int) in
            """
            {"restartCount":0,"currentState":{"state":"Running","startTime":"1"},"events":[{"name":"Unhealthy",
            "type":"Warning","count":\(count),"message":"Liveness probe failed: 500"}]}
            """
        }
        let (before, after) = (try state(view(1)), try state(view(2)))
        let cause = { (new: GroupState) in Diagnosis.of(new, log: "", name: "web").cause.contains("liveness probe") }

        #expect(!cause(before.leavingOut(before, isUpdated: true)))
        #expect(cause(after.leavingOut(before, isUpdated: true)))
        #expect(cause(before.leavingOut(before, isUpdated: false)))
    }

    @Test("A program that has done its work is up, unless it should always run")
    func up() throws {
        let view = #"{"restartCount":0,"currentState":{"state":"Terminated","exitCode":0}}"#

        #expect(try state(view, policy: "Never").isUp)
        #expect(try !state(view).isUp)
    }
}
