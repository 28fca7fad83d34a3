"""What stages say at once reads as if they had been built one after the other."""

import asyncio

from coracle.engine.builds import transcript as transcripts
from coracle.engine.builds.transcript import Transcript


def told(main):
    said = []

    async def whole():
        async def send(text):
            said.append(text)

        transcript = Transcript(send)
        await main(transcript)

    asyncio.run(whole())
    return said


def test_the_first_speaks_at_once_and_the_others_in_their_turn():
    async def main(transcript):
        one, two, three = (transcript.open(order) for order in (1, 2, 3))
        await transcript.advance()
        await two.say("c")
        await one.say("a")
        await three.say("e")
        await two.say("d")
        await two.close()
        await one.say("b")
        await one.close()
        await three.say("f")
        await three.close()

    assert told(main) == ["a", "b", "c", "d", "e", "f"]


def test_who_says_much_ahead_of_its_turn_waits(monkeypatch):
    monkeypatch.setattr(transcripts, "AHEAD_CHARACTERS", 3)

    async def main(transcript):
        one, two = transcript.open(1), transcript.open(2)
        await transcript.advance()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(two.say("wait"))
            await asyncio.sleep(0)
            assert not task.done()
            await one.say("first")
            await one.close()
        await two.say("on")

    assert told(main) == ["first", "wait", "on"]


def test_what_was_held_back_is_told_when_its_stage_fails():
    async def main(transcript):
        transcript.open(1)
        two = transcript.open(2)
        await transcript.advance()
        await two.say("why")
        await two.release()

    assert told(main) == ["why"]
