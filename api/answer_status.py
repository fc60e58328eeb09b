"""The status of an answer, seen as it goes by."""

from starlette.types import Message, Send


class AnswerStatus:
    """Stands in for `send`; until an answer begins its status is that of a crash."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.value = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.value = message["status"]
        await self._send(message)
