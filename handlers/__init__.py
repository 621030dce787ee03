"""The five services: each decides for itself and knows the others only by what they publish as events."""
