"""A supervisor hands jobs to two workers and replaces one that fails; pipes tell it what they are at, and who it was."""

import asyncio

from asyncmachine import Event, Machine, State, pipes
from asyncmachine.schemas import Basic


class WorkerStates(Basic):
    Working = State(require="Start", remove="Ready")


class SupervisorStates(Basic):
    WorkerReady = State(multi=True)
    ErrWorker = State(multi=True, require="Exception")
    Finished = State()


class Worker:
    async def WorkingState(self, e: Event) -> None:
        await asyncio.sleep(0.01)
        print(e.machine.id, "says", int(e.args["job"]) ** 2)
        e.machine.set("Start", "Ready")


class Supervisor:
    def __init__(self, *jobs: str) -> None:
        self.jobs = list(jobs)
        self.workers: dict[str, Machine] = {}
        self.machine = Machine(SupervisorStates, handlers=self)

    async def run(self) -> None:
        self.hire("anna")
        self.hire("bert")
        await self.machine.when("Finished")

    def hire(self, name: str) -> None:
        worker = self.workers[name] = Machine(WorkerStates, id=name, handlers=Worker())
        pipes.add(worker, self.machine, "Ready", "WorkerReady")
        pipes.bind_err(worker, self.machine, "ErrWorker")
        worker.add("Start", "Ready")

    def WorkerReadyState(self, e: Event) -> None:
        if self.jobs:
            self.workers[sender(e)].add("Working", job=self.jobs.pop(0))
        elif all(worker.is_("Ready") for worker in self.workers.values()):
            e.add("Finished")

    def ErrWorkerState(self, e: Event) -> None:
        print(sender(e), "failed:", e.args["error"])
        self.workers[sender(e)].dispose()  # and its pipes end
        self.hire(sender(e))


def sender(e: Event) -> str:
    return e.mutation.source.machine_id if e.mutation.source else ""


asyncio.run(Supervisor("3", "four", "5", "6").run())
