# frozen_string_literal: true

# Money on an account.
class Account
  attr_reader :balance # trailing

  # Pays in an amount.
  #
  #   account.deposit(5)
  #
  # rubocop:disable Metrics/AbcSize
  def deposit(amount)
    @balance += amount
    log(amount)
  end

  # Opens a new account.
  def self.open(owner)
    new(owner)
  end

  # Hidden from callers.
  private def secret(pin)
    pin * 2
  end

  # Detached.

  def detached; end

  x = 1 # trailing comment
  def after
    x
  end
end
