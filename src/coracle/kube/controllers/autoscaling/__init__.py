"""HorizontalPodAutoscalers: from what pods use to how many there should be.

use         how many pods a metric asks for; pure
paces       how fast the number may change; pure
loop        looks every fifteen seconds, while there are any
"""
