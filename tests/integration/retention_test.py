"""What retention has removed is told of, never skipped in silence."""

import grpc
import harness
from harness import api

MIB = 1 << 20


class RetentionTest(harness.TestCase):

    def expired(self, stub, cursor):
        """The error that reading after the cursor gives, once it does."""

        def ask():
            try:
                stub.ListEvents(api.ListEventsRequest(after_cursor=cursor,
                                                      page_size=1))
            except grpc.RpcError as error:
                return harness.Problem(error)
            return None

        problem = harness.wait_until(ask, "retention")
        self.assertEqual((problem.code, problem.reason),
                         (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED"),
                         problem)
        return problem

    def first_cursor(self, stub):
        """A cursor from before the first event."""
        return next(stub.Subscribe(api.SubscribeRequest(
            position=api.START_POSITION_EARLIEST), timeout=60)).cursor

    def test_max_size_removes_the_oldest_and_says_where_to_go_on(self):
        gateway = self.gateway(config={"store": {"max_size": "16MiB"}}).start()
        stub = gateway.stub()
        start = self.first_cursor(stub)
        connection = gateway.connect()
        self.addCleanup(connection.close)
        ids = []
        for number in range(48):
            body = harness.employee_body(number) + b" " * (MIB - 4096)
            status, answer = gateway.post(body, connection=connection)
            self.assertEqual(status, 200)
            ids.append(answer["id"])

        self.expired(stub, start)
        harness.wait_until(
            lambda: gateway.metrics()["waggle_store_size_bytes"] <= 18 * MIB,
            "the size to shrink")
        problem = harness.problem_of(lambda: stub.Subscribe(
            api.SubscribeRequest(after_cursor=start), timeout=60))
        self.assertEqual((problem.code, problem.reason),
                         (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED"))
        earliest = problem.info.metadata["earliest_cursor"]
        self.assertRegex(problem.info.metadata["earliest_time"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        events, _ = harness.replay(stub, after_cursor=earliest)
        left = [event.id for event in events]
        self.assertEqual(left, ids[-len(left):])
        self.assertTrue(0 < len(left) < 20, len(left))
        self.assertEqual(harness.list_all(stub), events)

        # The same after a restart.
        self.assertEqual(gateway.stop(), 0)
        gateway.start()
        stub = gateway.stub()
        problem = self.expired(stub, start)
        events_then, _ = harness.replay(
            stub, after_cursor=problem.info.metadata["earliest_cursor"])
        self.assertEqual(events_then, events[-len(events_then):])

    def test_max_age_removes_the_oldest_and_the_stream_goes_on(self):
        gateway = self.gateway(config={"store": {"max_age": "1s"}}).start()
        stub = gateway.stub()
        start = self.first_cursor(stub)
        follower = self.follower()
        follower.follow(gateway.addresses["grpc"])
        follower.wait_for_subscriptions(1)
        for number in range(10):
            self.assertEqual(gateway.post(harness.employee_body(number))[0],
                             200)
        problem = self.expired(stub, start)
        self.assertIn("earliest_cursor", problem.info.metadata)
        harness.wait_until(lambda: not harness.list_all(stub),
                           "all events to be removed")
        address = gateway.addresses["grpc"]
        tail = harness.run("tail", "--address", address, "--from", start,
                           "--until-caught-up")
        self.assertEqual(tail.returncode, 4, tail.stderr)
        self.assertIn("--on-gap", tail.stderr)
        tail = harness.run("tail", "--address", address, "--from", start,
                           "--until-caught-up", "--on-gap", "earliest")
        self.assertEqual((tail.returncode, tail.stdout), (0, ""), tail.stderr)
        # One that was there all the time saw all, and sees what comes.
        answer = gateway.post(harness.employee_body(100))[1]
        follower.wait_for_events(11)
        self.assertEqual(follower.events[-1].id, answer["id"])
        self.assertEqual(follower.ends, [])


if __name__ == "__main__":
    harness.main()
