"""Twilio's error bodies: code, text, HTTP status (twilio.com/docs/api/errors)."""

_STATUS = {
    20003: 401,
    20004: 405,
    20008: 403,
    20009: 409,
    20404: 404,
    20409: 409,
    20429: 429,
    20500: 500,
    20503: 503,
    21710: 409,
    21712: 409,
}

TEXTS = {
    14107: "Message rate limit exceeded",
    20001: "Unknown parameter",
    20003: "Authenticate",
    20004: "Method not allowed",
    20007: "Page size too large",
    20008: "Resource not accessible with Test Account Credentials",
    20009: "Cannot delete this resource before it has reached a final state",
    20404: "The requested resource was not found",
    20422: "Invalid parameter",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21211: "The 'To' number is not a valid phone number",
    21212: "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID",
    21266: "'To' and 'From' number cannot be the same",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21421: "The phone number or area code is invalid",
    21422: "The phone number is not available",
    21451: "Invalid area code",
    21452: "No phone numbers found in the area code",
    21457: "The AreaCode parameter is not supported",
    21502: "Invalid SmsUrl",
    21603: "A 'From' phone number or a Messaging Service is required",
    21604: "A 'To' phone number is required",
    21606: "The 'From' phone number provided is not a valid message-capable phone number for this destination",
    21609: "The 'StatusCallback' URL is not a valid URL",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable using the 'From' phone number via SMS",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21618: "The message body cannot be sent",
    21619: "A text message body or media urls must be specified",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21624: "Invalid validity period value",
    21627: "The MaxPrice is invalid",
    21654: "A ContentSid is required with ContentVariables",
    21655: "The ContentSid is invalid",
    21660: "Mismatch between the 'From' number and the account",
    21701: "The messaging service does not exist",
    21704: "The messaging service contains no phone numbers",
    21705: "The messaging service SID is invalid",
    21710: "The phone number is already in the messaging service",
    21711: "The 'From' number is not associated with the messaging service",
    21712: "The phone number is associated with another messaging service",
    21714: "The messaging service's number pool is full",
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30017: "Carrier network congestion",
    30022: "Rate limits exceeded",
    30023: "Daily message cap reached",
    30029: "The ContentRetention is invalid",
    30030: "The AddressRetention is invalid",
    30033: "Campaign suspended",
    30034: "Message from an unregistered number",
    30035: "Message from a number that is still being configured",
    30036: "Validity period expired",
    30400: "The message cannot be updated with these parameters",
    30409: "The message is in a final state and cannot be updated",
    35111: "The 'SendAt' timestamp is missing",
    35114: "The 'SendAt' timestamp is not between 5 minutes and 35 days ahead",
    35118: "A 'MessagingServiceSid' is required to schedule a message",
    35119: "A 'ScheduleType' is required with 'SendAt'",
    35126: "The 'ScheduleType' is not supported",
}


class ApiError(Exception):
    """A request is refused: Twilio's code, its text and the HTTP status."""

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.status = _STATUS.get(code, 400)
        self.text = text or TEXTS.get(code, "Error")
        super().__init__(f"{code}: {self.text}")

    def body(self) -> dict[str, object]:
        """The classic body, as the SDKs read it."""
        return {
            "code": self.code,
            "message": self.text,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
