import AMQPClient
import Logging

let configuration = try AMQPConfiguration(
  urls: "amqp://guest:guest@rabbit-1,amqp://guest:guest@rabbit-2", connectionName: "orders")
let topology = AMQPTopology(
  exchanges: [AMQPExchange("orders")],
  queues: [.quorum("orders.new", arguments: ["x-delivery-limit": 20])],
  bindings: [AMQPBinding(queue: "orders.new", exchange: "orders", routingKey: "new")])

let publisher = AMQPPublisher(
  configuration: configuration, topology: topology, logger: Logger(label: "orders"))
let running = Task { try await publisher.run() }

let outcome = await publisher.publish(
  AMQPMessage(body: Array("{}".utf8), contentType: "application/json", messageID: "order-7"),
  exchange: "orders", routingKey: "new")

switch outcome {
case .confirmed: print("it is in the queue, on disk")
case .nacked: print("the queue is full, or has no leader at this moment: try later")
case .returned(_, let text): print("no queue takes it: \(text)")
case .unknown(let reason): print("it may be in the queue, or not: \(reason)")
case .notSent(let reason): print("it never left this process: \(reason)")
}

running.cancel()
try await running.value
