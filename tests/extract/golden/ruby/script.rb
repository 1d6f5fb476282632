#!/usr/bin/env ruby
# encoding: utf-8
def first
  puts 'no documentation: only directives above'
end

# Grüßt jemanden höflich.
def greet(name)
  puts "Hallo #{name}"
end

Thing = Struct.new(:a) do
  # Doubles the value.
  def double
    a * 2
  end
end

# Comment above a call with two arguments.
register :x, def handler(event)
  event.done
end
