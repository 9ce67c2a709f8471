"""The deliberate differences from asyncmachine-go 0.19, the reference.

Each entry: what the reference does, and after the arrow what happens here. Q numbers are those of the reference's
known quirks. Everything else is meant to be equal: results, ticks, active order, queue ticks and every handler call
have been compared with recordings of the reference.

Schema and relations

Q-01  a relation to an unknown name is dropped or kept, depending on the relation
      -> SchemaError when the schema is defined
Q-02  Add, Remove and After to Exception are dropped if the schema does not define Exception
      -> Exception is always defined, and first
Q-04  a schema that is refused at run time may be stored nevertheless
      -> nothing changes
Q-05  waits for ticks and questions made after the schema has grown never resolve
      -> they do
Q-07  an active Multi state applies its Add list on every transition
      -> only when it is entered: activated, or called again
Q-17  Add is followed two levels deep, and Remove and Require of the second level do not count
      -> Add is followed to its fixpoint, in list order, and all relations of all implied states count
Q-18  the order of autos, and of states in unrelated parts of the Require graph, is random
      -> autos are called in definition order; for Require, repeatedly the first state in definition order whose
      requirements are placed; states without Require come first, as listed; a Require cycle switches this off
Q-19  After holds between neighbours in the list only
      -> after the Require order, repeatedly the first listed state none of whose After states is still waiting; of a
      cycle the first one listed
      names are sorted in texts and times
      -> definition order everywhere
      a schema that contradicts itself makes a machine in Exception
      -> SchemaError when the schema is defined; no machine
      unknown names are false or 0 in questions
      -> UnknownStateError everywhere but in `has`

Queue, dry runs, evals

Q-09  a full queue refuses errors
      -> errors always pass: adding Exception, and removing it
Q-10  a queued duplicate is dropped wherever the first one is
      -> only if it repeats the last one in the queue and can change nothing: no Auto or Multi states, no `After`, no
      `Add` of the called states, and no handler that could refuse, fail or be called a second time
      removing inactive states inside a handler is executed without being queued if nothing else waits
      -> it is queued and judged when its turn comes: the states may be active then
      a toggle inside a handler is decided when it is made
      -> when its turn comes
Q-12  an event never says that it belongs to a dry run
      -> `Event.is_check`
Q-13  the outcome of a queued dry run is inverted
      -> awaiting the result of `can_add` or `can_remove` gives the true one
Q-14  a dry run of a remove loses its arguments
      -> it has them
Q-15  a nested eval blocks until it times out
      -> NestedEvalError at once; `eval_soon` is the way from inside a handler
Q-16  an error in an eval leaves the queue locked
      -> it reaches the caller; what the eval queued is processed
      a canceled result is one constant and has no reason
      -> each knows what refused it (`Result.reason`, `Result.refused_by`); they all equal `Result.CANCELED`
Q-36  waits for a queued mutation are released by the next accepted transition
      -> by every processed mutation, canceled ones too

Auto states

Q-20  the Exit handler of an Auto state that refuses in an auto transition crashes
      -> the state stays, and the called autos that would end it are dropped; if only several together would end it,
      the auto transition is canceled
Q-23  an Auto state whose handler always fails loops with Exception for ever
      -> the Exception transition caused by a failed auto transition makes no auto mutation
Q-47  a self handler of an active Auto state that refuses cancels the auto transition or not, depending on positions
      -> it cancels

Errors

Q-27  after a failing End handler the entered states stay, without their State handlers
Q-28  states taken back keep their contexts, and waits do not see it
Q-29  states are taken back twice, and a called Multi state ticks for each
      -> after a failing final handler every entered state whose State handler has not completed is taken back once
      (tick +1): its context expires and waits see it. States whose State handler has completed are not touched. A
      failing AnyState takes nothing back
Q-30  an error inside ExceptionState hangs the machine
      -> it is logged, Exception stays, error states entered with it are taken back, the machine goes on
Q-33  the error object of a failing handler is lost
      -> it is the error
      nil errors are ignored
      -> TypeError. CancelledError is never an Exception state: added, it is ignored; raised in a handler, it leaves
      the call like KeyboardInterrupt and SystemExit, entered states are taken back, and what was queued runs with the
      next mutation
      error states are called before Exception
      -> Exception first, then the states in the order given
      an error that nobody handles is seen in the state, and at log levels from Changes on
      -> it is logged at ERROR with its traceback, whatever the machine's log level

Handlers

Q-24  a handler that cannot work fails when it is called
      -> HandlerError when it is bound
      a handler that exceeds its time is abandoned and its state taken back; a deadline drops the queue
      -> Python cannot interrupt a function: a handler slower than `slow_handler_s`, if that is given, is reported and the transition
      stands. Long work belongs in `async def` handlers and forks, which end with their state
      negotiation handlers answer with a bool
      -> None is yes, anything else is judged by its truth; an awaitable is an error that names the handler

Waits

Q-34  questions are not asked when the wait is made, and crash with a context
      -> they are asked at once; cancelling the future stands for the context
Q-35  waits resolve when the machine is disposed, questions never do
      -> all raise MachineDisposedError, except `when_disposed`
Q-37  equal waits share one channel, and a subset of arguments counts as equal
      -> every wait is a future of its own
      a transition whose final handler failed resolves no waits
      -> waits see what it committed and did not take back

Pipes and history

      the target's handlers run while the source's do, however long the chain is
      -> from the 17th machine of a chain on they run when the first one's pipe has acted
Q-43  a pipe from the whole machine overlooks removals
      -> `pipes.bind_any` mirrors them
Q-44  the lists of a history that keep transitions out have no effect
      -> they have; and questions about states that are not tracked raise instead of being false
"""
