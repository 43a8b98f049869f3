import Foundation
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

/// An agent is whatever a pull request could talk it into: each of these looks for what is not its own.
@Suite("Hostile agents", .timeLimit(.minutes(5)))
struct HostileAgentTests {
  /// What a worker on a shared machine may have around it. None of it may reach an agent, its events or its messages.
  private static let secrets = [
    "BATON_ENCRYPTION_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "BATON_DATABASE_URL": "postgres://baton:dbpass-4711%21@db.example.com/baton",
    "BATON_AMQP_URL": "amqp://baton:mqpass-4711@mq.example.com/", "BATON_CALLBACK_SECRET": "callback-secret-4711",
    "BATON_API_TOKEN": "api-token-with-some-length-4711", "PGPASSWORD": "pgpass-4711",
    "AWS_SECRET_ACCESS_KEY": "aws-4711",
  ]
  /// Texts that give one of them away.
  private static let traces = [
    "0123456789abcdef", "MDEyMzQ1Njc4", "dbpass-4711", "mqpass-4711", "callback-secret-4711",
    "api-token-with-some", "pgpass-4711", "aws-4711", "worker-token",
  ]

  /// Goes through all processes that it can see, and tries to look into each.
  private static let spying = """
    for process in /proc/[0-9]*; do
      cat $process/environ $process/cmdline | tr '\\000' '\\n'; cat $process/maps; ls -l $process/fd $process/cwd
      timeout 5 cat $process/fd/*
    done >>FOLDER/loot 2>/dev/null </dev/null
    env >>FOLDER/loot
    """

  @Test("without any right, an agent reads nothing of its worker: environment, files, memory, and it cannot trace it")
  func worker() async throws {
    let agent =
      Self.spying + """

        worker=$(cat FOLDER/worker)
        for file in environ maps mem auxv; do head -c 1 /proc/$worker/$file >/dev/null 2>&1 && echo "read $file"; done
        ls /proc/$worker/fd >/dev/null 2>&1 && echo "read fd"
        /usr/bin/python3 -c 'import ctypes, sys; print("ptrace", ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0))' $worker
        # Neither into a pipe nor as the last command: the shell would have the pipe open itself, or become ls.
        ls -m /proc/$$/fd; true
        """
    try await withWorker(agent: agent, settings: Self.secrets, isolation: .unprivileged) { worker, _ in
      try "\(worker.process.processID)\n".write(toFile: "\(worker.folder)/worker", atomically: true, encoding: .utf8)
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("completed: \(worker.process.output)") { await worker.state(id) == .completed }
      let messages = try await worker.messages(id)
      #expect(messages == ["ptrace -1", "0, 1, 2"], "\(messages)")
      let loot = worker.lines("loot").joined(separator: "\n")
      #expect(loot.contains("BATON_REVIEW_ID=\(id.uuidString.lowercased())"), "it has looked")
      for trace in Self.traces { #expect(!loot.contains(trace), "\(trace)") }
      #expect(await worker.stop() == 0)
    }
  }

  @Test("whatever secret of the worker an agent prints, in whichever spelling, no event and no message has it")
  func prints() async throws {
    let secrets = [
      "dbpass-4711%21", "dbpass-4711!", "mqpass-4711", "callback-secret-4711", "worker-token",
      "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "api-token-with-some-length-4711",
    ]
    var lines = secrets.map { "is \($0) it" } + secrets.map { #"{"message":"\#($0)"}"# }
    lines.append(#"{"event":"callback-secret-4711","content":{"a":["callback\u002dsecret\u002d4711"]}}"#)
    lines.append(#"{"sessionId":"worker-token","cliSessionId":"w\u006frker-token","usage":{"model":"mqpass-4711"}}"#)
    let agent = "cat <<'END'\n\(lines.joined(separator: "\n"))\nEND\necho 'lost callback-secret-4711' >&2; exit 3"
    try await withWorker(agent: agent, settings: Self.secrets) { worker, sink in
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("reported: \(worker.process.output)") { sink.statuses(of: id).last == .failed }
      let events = try await worker.client.events(of: id)
      #expect(events.count == lines.count - 1)
      let callback = try #require(sink.received.last?.callback)
      let text = "\(events) \(callback)"
      for secret in secrets + ["callback-"] { #expect(!text.contains(secret), "\(secret)") }
      #expect(callback.errorMessage == "the agent exited with status 3: lost ***" && callback.sessionId == "***")
      #expect(await worker.stop() == 0)
    }
  }

  /// The first run is the victim: it leaves things where runs leave things, and waits. The second one goes after them.
  private static let intruder = """
    if mkdir FOLDER/first 2>/dev/null; then
      umask 022; for place in /tmp /var/tmp /dev/shm "$TMPDIR"; do echo "a note of $BATON_REVIEW_ID" >$place/$BATON_REVIEW_ID; done
      echo begun; until [ -e FOLDER/go ]; do sleep 0.05; done
      for place in /tmp /var/tmp /dev/shm "$TMPDIR"; do rm -f $place/$BATON_REVIEW_ID; done
      echo unharmed; exit 0
    fi
    \(spying)
    victim=$(cat FOLDER/victim); worker=$(cat FOLDER/worker)
    for file in FOLDER/state.sqlite* /proc/$worker/root/FOLDER/state.sqlite*; do
      [ -d $file ] || cat $file >>FOLDER/loot 2>/dev/null
      ls -R $file 2>/dev/null
      unshare --user --map-root-user --mount sh -c "umount $file; cat $file" >>FOLDER/loot 2>/dev/null
    done
    for place in FOLDER/state.sqlite-agents/$victim-1-1 FOLDER/state.sqlite-agents/$victim-1-1/tmp; do
      cat $place/* >>FOLDER/loot 2>/dev/null
    done
    for place in /tmp /var/tmp /dev/shm "$TMPDIR"; do cat $place/$victim >>FOLDER/loot 2>/dev/null; done
    (kill -KILL $worker; kill -KILL -$worker; kill -KILL $(cat FOLDER/pids)) 2>/dev/null
    (setsid sh -c 'echo left >>FOLDER/left; sleep 1000' &) >/dev/null 2>&1
    until [ -e FOLDER/left ]; do sleep 0.05; done
    echo done; kill -KILL -1
    """

  @Test(
    "runs kept apart see neither each other nor the worker, and harm neither",
    arguments: WorkerTestCluster.Isolation.real)
  func runs(_ isolation: WorkerTestCluster.Isolation) async throws {
    try await withWorker(agent: Self.intruder, settings: Self.secrets, isolation: isolation) { worker, sink in
      let (victim, intruder) = (UUID(), UUID())
      let name = victim.uuidString.lowercased()
      _ = await worker.start(victim, prompt: "the victim's prompt")
      try await eventually("begun: \(worker.process.output)") { try await worker.messages(victim) == ["begun"] }
      for (file, text) in [
        ("worker", "\(worker.process.processID)"), ("victim", name),
        ("pids", WorkerTestCluster.processes(of: victim).map { "\($0)" }.joined(separator: " ")),
      ] { try text.write(toFile: "\(worker.folder)/\(file)", atomically: true, encoding: .utf8) }
      _ = await worker.start(intruder, prompt: "the intruder's prompt")
      try await eventually("ended: \(worker.process.output)") { await worker.state(intruder)?.isTerminal == true }
      // Isolated by user, a run sees the names of files; never what is in them.
      let messages = try await worker.messages(intruder)
      #expect(messages.last == "done" && !messages.contains { $0.contains(name) }, "\(messages)")
      let loot = worker.lines("loot").joined(separator: "\n")
      #expect(loot.contains(intruder.uuidString.lowercased()), "it has looked")
      for trace in Self.traces + ["jwt-of-\(victim.uuidString)", "victim's prompt"] {
        #expect(!loot.contains(trace), "\(trace)")
      }
      if isolation == .namespaces { #expect(!loot.contains(name)) }
      try await eventually("nothing of the intruder is left") { WorkerTestCluster.processes(of: intruder).isEmpty }
      worker.touch("go")
      try await eventually("completed") { await worker.state(victim) == .completed }
      #expect(try await worker.messages(victim) == ["begun", "unharmed"])
      #expect(await worker.stop() == 0, "\(worker.process.output)")
    }
  }

  @Test(
    "an isolation that is not possible here is refused with status 78 and the reason",
    arguments: [
      (["BATON_AGENT_ISOLATION": "users", "BATON_AGENT_USERS": "70000-70009"], "users is not possible"),
      (["BATON_AGENT_ISOLATION": "users"], "BATON_AGENT_USERS is missing"),
      (["BATON_AGENT_ISOLATION": "users", "BATON_AGENT_USERS": "70000-70001"], "4 runs at once need one each"),
      (["BATON_AGENT_ISOLATION": "namespaces"], "namespaces is not possible"),
      (["BATON_AGENT_ISOLATION": "container"], "none of off, namespaces, users"),
    ])
  func refused(_ settings: [String: String], _ reason: String) async throws {
    let folder = WorkerTestCluster.Isolation.unprivileged.parent + "/baton-refused-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    chmod(folder, 0o1777)
    // Without a right, and in a namespace that allows no others: a container's usual lot.
    let noNamespaces = [
      "unshare", "--user", "--map-root-user", "sh", "-c",
      "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \"$@\"",
    ]
    let process = try BatonProcess(
      ["worker", "--port", "0", "--concurrency", "4"],
      settings: [
        "BATON_WORKER_TOKEN": "t", "BATON_AGENT_COMMAND": "true", "BATON_WORKER_STATE": "\(folder)/state.sqlite",
      ].merging(settings) { $1 }, through: WorkerTestCluster.Isolation.unprivileged.wrapper + noNamespaces)
    #expect(await process.wait() == 78, "\(process.output)")
    #expect(process.output.contains(reason) && !process.output.contains("listening"), "\(process.output)")
  }
}
